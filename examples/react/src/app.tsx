// Who is signed in: picks the wallet, and gives everything below it a connection of that wallet.

import { useMemo, useState } from 'react';
import { type WalletProvider, walletAuth } from 'tidegate';
import { TidegateProvider } from 'tidegate/react';
import { Dashboard } from './dashboard';
import { browserWallet, type WalletKind } from './wallet/browser';
import { freshThrowAwayWallet, throwAwayWallet } from './wallet/throw-away';

interface Wallet {
  kind: WalletKind;
  provider: WalletProvider;
  address: string;
}

/** Signs in with a throw-away wallet at once; with the browser's own wallet only when the reader picks it. */
export function App() {
  const [wallet, setWallet] = useState<Wallet>(() => throwAway(throwAwayWallet()));
  const getToken = useMemo(
    () => walletAuth({ provider: wallet.provider, url: '/ws', address: wallet.address }),
    [wallet],
  );
  const pick = async (kind: WalletKind | 'new-throw-away') => {
    if (kind === 'throw-away') return setWallet(throwAway(throwAwayWallet()));
    if (kind === 'new-throw-away') return setWallet(throwAway(freshThrowAwayWallet()));
    const chosen = await askBrowserWallet();
    if (chosen) setWallet(chosen);
  };
  return (
    // Signals stay on the page as long as the tape does.
    <TidegateProvider url="/ws" getToken={getToken} historySize={500}>
      <Dashboard
        key={wallet.address}
        wallet={{
          kind: wallet.kind,
          address: wallet.address,
          hasBrowserWallet: browserWallet() !== undefined,
          onWallet: (kind) => void pick(kind),
        }}
      />
    </TidegateProvider>
  );
}

function throwAway(provider: ReturnType<typeof throwAwayWallet>): Wallet {
  return { kind: 'throw-away', provider, address: provider.address };
}

/** `undefined` when there is no wallet, or when its owner said no. */
async function askBrowserWallet(): Promise<Wallet | undefined> {
  const provider = browserWallet();
  if (!provider) return undefined;
  try {
    const [address] = (await provider.request({ method: 'eth_requestAccounts' })) as string[];
    return address ? { kind: 'browser', provider, address } : undefined;
  } catch {
    return undefined;
  }
}
