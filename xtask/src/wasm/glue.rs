//! Takes out of the generated glue what this package never needs: a third of it.
//!
//! Each cut names what it looks for. A generator that writes something else fails the build, instead of making the
//! package larger, or a cut that does something else, in silence.

use anyhow::{Context, Result};

/// What is taken out wherever it stands, from its beginning to its end, and what comes in its place. Lines are as
/// without indentation. The order counts: a definition goes before its uses.
const CUTS: [(&str, &str, &str); 18] = [
    // Nothing of an instance that trapped is used again: `npm/src/engine.ts` drops it before the reset.
    ("if (this.__wbg_inst !== undefined", "instance');\n}\n", ""),
    ("Object.defineProperty(this, '__wbg_inst'", ");\n", ""),
    ("let __wbg_instance_id", ";\n", ""),
    ("__wbg_instance_id++", ";\n", ""),
    // Asking for a reset from inside is a function of the library that is not called.
    ("function __wbg_call_guard() {", "}\n}\n", ""),
    ("__wbg_call_guard()", ";\n", ""),
    ("let __wbg_reinit_scheduled", ";\n", ""),
    ("__wbg_reinit_scheduled = ", ";\n", ""),
    // Clients are closed. One that is not has a socket and timers, and is not collected anyway.
    ("const EngineFinalization", "});\n", ""),
    ("EngineFinalization.", ");\n", ""),
    ("if (Symbol.dispose)", ";\n", ""),
    // Strings are short and few: no second way for long ones, and no 2 GB of them that Safari would stumble over.
    ("if (realloc === undefined) {", "WASM_VECTOR_LEN = offset;\nreturn ptr;\n", PASS_STRING),
    (", wasm.__wbindgen_realloc", "", ""),
    ("if (!('encodeInto' in cachedTextEncoder)) {", "};\n};\n}\n", ""),
    ("const MAX_SAFARI_DECODE_BYTES", "return cachedTextDecoder.decode(bytes);\n}\n", DECODE_TEXT),
    ("if (typeof numBytesDecoded", ";\n", ""),
    // `npm/src/module.ts` hands over a module that is compiled.
    ("if (module !== undefined) {", "}\n}\n", "({ module } = module);\n"),
    ("if (!(module instanceof WebAssembly.Module)) {", "}\n", ""),
];

const PASS_STRING: &str = "const buf = cachedTextEncoder.encode(arg);
const ptr = malloc(buf.length, 1) >>> 0;
getUint8ArrayMemory0().set(buf, ptr);
WASM_VECTOR_LEN = buf.length;
return ptr;
";

const DECODE_TEXT: &str = "const decodeText = (bytes) => cachedTextDecoder.decode(bytes);\n";

/// The glue without them.
pub(super) fn strip(glue: &str) -> Result<String> {
    let glue = glue.lines().map(str::trim_start).collect::<Vec<_>>().join("\n");
    CUTS.iter().try_fold(glue, |glue, (begin, end, instead)| {
        cut(&glue, begin, end, instead).with_context(|| {
            format!(
                "the generated glue has no `{begin}` any more: look what it has, and change CUTS in glue.rs"
            )
        })
    })
}

/// Puts `instead` in the place of every stretch from `begin` to `end`; `None` where there is none.
fn cut(text: &str, begin: &str, end: &str, instead: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(begin) {
        let after = at + begin.len();
        let length = rest[after..].find(end)?;
        out.push_str(&rest[..at]);
        out.push_str(instead);
        rest = &rest[after + length + end.len()..];
    }
    out.push_str(rest);
    (rest.len() < text.len()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stretch_is_cut_and_nothing_else() {
        assert_eq!(cut("a (b) c (d) e", "(", ")", "-").as_deref(), Some("a - c - e"));
        assert_eq!(cut("(b)", "(", "", "").as_deref(), Some("b)"));
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        assert_eq!(cut("a b c", "(", ")", ""), None);
        assert_eq!(cut("a (b c", "(", ")", ""), None, "a beginning without an end");
        assert!(strip("export class Engine {}").unwrap_err().to_string().contains("CUTS in glue.rs"));
    }
}
