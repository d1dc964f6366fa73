/** Of a client against a fault. */
export interface Result {
  perMinute: number;
  gaveUp: boolean;
}
export declare const FAULTS: Record<string, string>;
export declare const MAX_PER_MINUTE: number;
export declare const PLACE: RegExp;
export declare function tableOf(clients: Record<string, Record<string, Result>>): string;
