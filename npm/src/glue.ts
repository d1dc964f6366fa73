// What is used of the generated glue: named here, so that a bundler leaves the rest out.

export { __wbg_reset_state, Engine, initSync } from '../wasm/tidegate.js';
