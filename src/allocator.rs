//! How glibc's allocator gives memory back.

/// From this size on, in bytes, a buffer gets pages of its own and gives them back when it is freed. It is what glibc
/// begins with, but left to itself glibc raises it to the largest buffer that it has seen freed. Pages, which are large
/// and short-lived, then share one heap with what is remembered, which is small and long-lived, and that heap never
/// shrinks.
#[cfg(target_env = "gnu")]
const LARGE_BUFFER: i32 = 128 * 1024;

/// One heap for the reading, one for the writing.
#[cfg(target_env = "gnu")]
const HEAPS: i32 = 2;

/// Makes large buffers be given back as soon as they are freed. To be called before threads are started.
#[cfg(target_env = "gnu")]
#[expect(
    unsafe_code,
    reason = "glibc has no other way to be told, but for the environment of whoever starts the program"
)]
pub fn give_back_large_buffers() {
    // SAFETY: mallopt takes two numbers, and no other thread runs yet that could allocate meanwhile. A setting that it
    // does not know, it refuses, and everything stays as it was.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BUFFER);
        libc::mallopt(libc::M_ARENA_MAX, HEAPS);
    }
}

/// Other allocators are left as they are.
#[cfg(not(target_env = "gnu"))]
pub fn give_back_large_buffers() {}
