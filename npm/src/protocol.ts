/**
 * Types of the wire protocol, written from the Rust crate that the gateway is built from, and what follows from
 * them. Types only: importing this loads no code.
 *
 * @module
 */

import type { MomentumMessage, RangeTradingMessage, ScalpMessage, Strategy } from './generated/protocol.js';

export type * from './generated/protocol.js';

/** The message that each strategy sends. */
export interface SignalMessages {
  /** `scalp`: every 30 seconds. */
  scalp: ScalpMessage;
  /** `momentum`: every minute. */
  momentum: MomentumMessage;
  /** `range_trading`: while there is something to say. */
  range_trading: RangeTradingMessage;
}

/** A signal of one strategy, whole, as it came over the wire. */
export type SignalOf<S extends Strategy = Strategy> = SignalMessages[S];

/** What such a signal says: its `data`, or its `payload` in the case of `range_trading`. */
export type SignalData<S extends Strategy = Strategy> =
  SignalOf<S> extends infer M ? (M extends { data: infer D } ? D : M extends { payload: infer P } ? P : never) : never;
