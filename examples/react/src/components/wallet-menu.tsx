import { useEffect, useRef } from 'react';
import { shortAddress } from '../format';
import type { WalletKind } from '../wallet/browser';
import { Icon } from './icons';

export interface WalletMenuProps {
  /** Which wallet is signed in. */
  kind: WalletKind;
  /** Its address, once it is known. */
  address: string | null;
  /** Whether this browser has a wallet of its own. */
  hasBrowserWallet: boolean;
  onWallet: (kind: WalletKind | 'new-throw-away') => void;
}

/** Who is signed in, and with what. A `<details>`, so it works by keyboard without further ado. */
export function WalletMenu({ kind, address, hasBrowserWallet, onWallet }: WalletMenuProps) {
  const menu = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const close = (event: Event) => {
      const escaped = event instanceof KeyboardEvent && event.key === 'Escape';
      const outside = event.type === 'pointerdown' && !menu.current?.contains(event.target as Node);
      if (menu.current && (escaped || outside)) menu.current.open = false;
    };
    document.addEventListener('pointerdown', close);
    document.addEventListener('keydown', close);
    return () => {
      document.removeEventListener('pointerdown', close);
      document.removeEventListener('keydown', close);
    };
  }, []);
  const pick = (wallet: WalletKind | 'new-throw-away') => {
    if (menu.current) menu.current.open = false;
    onWallet(wallet);
  };
  return (
    <details className="wallet" ref={menu}>
      <summary className="button">
        <span className="narrow-hidden">{address ? shortAddress(address) : 'Signing in'}</span>
        <span className="wide-hidden" aria-hidden="true">
          {address ? `…${address.slice(-4)}` : '…'}
        </span>
        <Icon name="chevron" />
      </summary>
      <div className="wallet-panel panel">
        <h2>{kind === 'browser' ? 'Your browser wallet' : 'A throw-away wallet'}</h2>
        {address && <p className="wallet-full">{address}</p>}
        <p className="quiet">
          {kind === 'browser'
            ? 'It signed one sign-in message. No transaction, no fee.'
            : 'Made in this page to sign in without an extension. Its key lives in this tab: send nothing to it.'}
        </p>
        {kind !== 'throw-away' && (
          <button type="button" className="button" onClick={() => pick('throw-away')}>
            Use a throw-away wallet
          </button>
        )}
        {kind === 'throw-away' && (
          <button type="button" className="button" onClick={() => pick('new-throw-away')}>
            New throw-away wallet
          </button>
        )}
        {kind !== 'browser' && (
          <button
            type="button"
            className="button"
            disabled={!hasBrowserWallet}
            onClick={() => pick('browser')}
          >
            {hasBrowserWallet ? 'Sign in with your browser wallet' : 'No browser wallet found'}
          </button>
        )}
      </div>
    </details>
  );
}
