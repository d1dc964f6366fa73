import { useEffect, useState } from 'react';

/** The two themes. Without a choice the system decides. */
export type Theme = 'dark' | 'light';

const dark = () => matchMedia('(prefers-color-scheme: dark)');

/** The theme in force, and a way to change it that outlives the page (see `public/theme.js`). */
export function useTheme(): [Theme, (theme: Theme) => void] {
  const [chosen, choose] = useState(() => document.documentElement.dataset.theme as Theme | undefined);
  const [system, setSystem] = useState<Theme>(() => (dark().matches ? 'dark' : 'light'));
  useEffect(() => {
    const query = dark();
    const follow = () => setSystem(query.matches ? 'dark' : 'light');
    query.addEventListener('change', follow);
    return () => query.removeEventListener('change', follow);
  }, []);
  const change = (theme: Theme) => {
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem('tidegate-theme', theme);
    } catch {
      // Storage may be blocked: the choice then lasts as long as the page.
    }
    choose(theme);
  };
  return [chosen ?? system, change];
}
