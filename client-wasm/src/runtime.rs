//! What the standard library would bring: an allocator and the end of a panic. Its own take 8 KB of the module.

use core::panic::PanicInfo;

/// Small before fast: a client holds a few hundred short strings.
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// A panic is a trap. JavaScript catches it, reports it, and makes everything anew (`npm/src/module.ts`).
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
