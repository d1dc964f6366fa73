// The page's own life, told to the client core: seen or hidden, online or not, frozen or alive.

/** What the core wants to know. */
export interface PageListener {
  online(): void;
  offline(): void;
  hidden(): void;
  visible(): void;
  freeze(): void;
  thaw(): void;
}

/** Listens until the function that it returns is called. Outside of pages there is nothing to hear. */
export function watchPage(listener: PageListener): () => void {
  if (typeof document === 'undefined' || typeof window === 'undefined') return () => {};
  const stop = new AbortController();
  const on = (target: EventTarget, event: string, handler: () => void) =>
    target.addEventListener(event, handler, { signal: stop.signal });
  const look = () => (document.visibilityState === 'hidden' ? listener.hidden() : listener.visible());
  on(document, 'visibilitychange', look);
  // Into the back/forward cache, or away for good: either way the connection's slot is given back at once.
  on(window, 'pagehide', () => listener.freeze());
  on(window, 'pageshow', () => listener.thaw());
  on(document, 'freeze', () => listener.freeze());
  on(document, 'resume', () => listener.thaw());
  on(window, 'online', () => listener.online());
  on(window, 'offline', () => listener.offline());
  if (document.visibilityState === 'hidden') listener.hidden();
  if (typeof navigator !== 'undefined' && navigator.onLine === false) listener.offline();
  return () => stop.abort();
}
