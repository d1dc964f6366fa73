/** The text of docs/api.md. */
export declare function reference(): string;
