import type { Notice } from '../feed/view';
import { span } from '../format';
import { useNow } from '../use-now';
import { Icon } from './icons';

/** What the buttons of a notice do. */
export type NoticeActions = Record<Notice['actions'][number], () => void>;

const labels: Record<Notice['actions'][number], string> = {
  retry: 'Retry now',
  'new-wallet': 'Use a new throw-away wallet',
  reload: 'Reload the page',
};

/** What is wrong, what happens next, and what the reader can do. */
export function NoticeBar({ notice, actions }: { notice: Notice; actions: NoticeActions }) {
  return (
    <section className={`notice notice-${notice.tone}`} role={notice.tone === 'error' ? 'alert' : 'status'}>
      <Icon name={notice.title.includes('offline') ? 'offline' : 'warning'} />
      <div className="notice-words">
        <strong>{notice.title}</strong>
        <p>{notice.text}</p>
      </div>
      <div className="notice-actions">
        {notice.retryAt !== undefined && <RetryCountdown at={notice.retryAt} />}
        {notice.actions.map((action) => (
          <button key={action} type="button" className="button" onClick={actions[action]}>
            {labels[action]}
          </button>
        ))}
      </div>
    </section>
  );
}

/** Outside the live region's words: a screen reader would read every second aloud. */
function RetryCountdown({ at }: { at: number }) {
  const left = at - useNow(250);
  return (
    <span className="notice-countdown" aria-hidden="true">
      {left > 0 ? `next attempt in ${span(Math.ceil(left / 1_000) * 1_000)}` : 'trying…'}
    </span>
  );
}
