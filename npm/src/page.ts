// The page's own life, told to the client core: seen or hidden, online or not, frozen or alive.

/** What a page tells. */
export type PageEvent = 'online' | 'offline' | 'hidden' | 'visible' | 'freeze' | 'thaw';

/** Listens until the function that it returns is called. Outside of pages there is nothing to hear. */
export function watchPage(tell: (event: PageEvent) => void): () => void {
  if (typeof document === 'undefined' || typeof window === 'undefined') return () => {};
  const stop = new AbortController();
  const on = (target: EventTarget, event: string, what: () => PageEvent) =>
    target.addEventListener(event, () => tell(what()), { signal: stop.signal });
  const look = () => (document.visibilityState === 'hidden' ? 'hidden' : 'visible');
  on(document, 'visibilitychange', look);
  // Into the back/forward cache, or away for good: either way the connection's slot is given back at once.
  on(window, 'pagehide', () => 'freeze');
  on(window, 'pageshow', () => 'thaw');
  on(document, 'freeze', () => 'freeze');
  on(document, 'resume', () => 'thaw');
  on(window, 'online', () => 'online');
  on(window, 'offline', () => 'offline');
  if (look() === 'hidden') tell('hidden');
  if (typeof navigator !== 'undefined' && navigator.onLine === false) tell('offline');
  return () => stop.abort();
}
