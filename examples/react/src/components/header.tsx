import { splitSymbol } from '../format';
import type { Theme } from '../use-theme';
import { Icon, Mark } from './icons';
import { WalletMenu, type WalletMenuProps } from './wallet-menu';

interface HeaderProps extends WalletMenuProps {
  symbols: readonly string[];
  symbol: string;
  onSymbol: (symbol: string) => void;
  demo: boolean;
  theme: Theme;
  onTheme: (theme: Theme) => void;
}

/** Name, symbol, demo badge, wallet and theme. */
export function Header({ symbols, symbol, onSymbol, demo, theme, onTheme, ...wallet }: HeaderProps) {
  const other = theme === 'dark' ? 'light' : 'dark';
  return (
    <header className="header">
      <h1 className="brand">
        <Mark />
        Tidegate
      </h1>
      {demo && (
        <span className="badge" title="Simulated market data">
          Demo
        </span>
      )}
      <SymbolPicker symbols={symbols} symbol={symbol} onSymbol={onSymbol} />
      <div className="header-end">
        <WalletMenu {...wallet} />
        <button type="button" className="button button-icon" onClick={() => onTheme(other)}>
          <Icon name={theme === 'dark' ? 'sun' : 'moon'} />
          <span className="visually-hidden">Use the {other} theme</span>
        </button>
      </div>
    </header>
  );
}

type SymbolPickerProps = Pick<HeaderProps, 'symbols' | 'symbol' | 'onSymbol'>;

/** Tabs for a few symbols, a list for many. */
function SymbolPicker({ symbols, symbol, onSymbol }: SymbolPickerProps) {
  if (symbols.length > 5)
    return (
      <label className="symbol-select">
        <span className="visually-hidden">Symbol</span>
        <select value={symbol} onChange={(event) => onSymbol(event.target.value)}>
          {symbols.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        <Icon name="chevron" />
      </label>
    );
  return (
    <fieldset className="segments">
      <legend className="visually-hidden">Symbol</legend>
      {symbols.map((name) => (
        <label key={name}>
          <input
            type="radio"
            name="symbol"
            value={name}
            checked={name === symbol}
            onChange={() => onSymbol(name)}
          />
          <span>
            {splitSymbol(name)[0]}
            <small>{splitSymbol(name)[1]}</small>
          </span>
        </label>
      ))}
    </fieldset>
  );
}
