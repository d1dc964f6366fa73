'use client';

/**
 * React hooks for a Tidegate gateway.
 *
 * @module
 */

export type { ConnectionSnapshot, ConnectionState, FeedSnapshot, FeedStatus, LimitUse } from '../types.js';
export {
  type ConnectionHandle,
  type FeedName,
  type LostConnection,
  type SignalSnapshot,
  type UseSignalOptions,
  useConnection,
  useLostConnection,
  useSignal,
  useSignalHistory,
  useSignals,
  useTidegate,
} from './hooks.js';
export { TidegateProvider, type TidegateProviderProps } from './provider.js';
