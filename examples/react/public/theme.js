// Sets the theme that was chosen earlier, before the first paint; without one the system decides.
try {
  const theme = localStorage.getItem('tidegate-theme');
  if (theme === 'dark' || theme === 'light') document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be blocked: the system's theme it is.
}
