/**
 * Live trading signals from a Tidegate gateway, for browsers and Node. React: `tidegate/react`.
 *
 * @module
 */

export { connect, createClient } from './connect.js';
export { type ClientErrorCode, type ErrorDetails, TidegateError, type TidegateErrorCode } from './errors.js';
export { init } from './module.js';
export type { SignalData, SignalOf, Strategy } from './protocol.js';
export type * from './types.js';
export {
  type WalletAuth,
  type WalletAuthOptions,
  type WalletProvider,
  type WalletStorage,
  walletAuth,
} from './wallet.js';
