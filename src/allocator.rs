//! Configures glibc's allocator to return large buffers to the system.

/// Buffers of at least this size, in bytes, are mapped separately and returned to the system when freed. This is
/// glibc's default, but glibc raises it to the largest buffer freed so far. Large, short-lived pages then share a heap
/// with small, long-lived data, and that heap never shrinks.
#[cfg(target_env = "gnu")]
const LARGE_BUFFER: i32 = 128 * 1024;

/// One heap for the reading thread, one for the writing thread.
#[cfg(target_env = "gnu")]
const HEAPS: i32 = 2;

/// Makes glibc return large buffers as soon as they are freed. Call it before starting threads.
#[cfg(target_env = "gnu")]
#[expect(
    unsafe_code,
    reason = "the only alternative is the environment of the process, which the program does not control"
)]
pub fn give_back_large_buffers() {
    // SAFETY: mallopt takes two numbers, and no other thread runs yet that could allocate meanwhile. It ignores
    // settings that it does not know.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BUFFER);
        libc::mallopt(libc::M_ARENA_MAX, HEAPS);
    }
}

/// Does nothing for other allocators.
#[cfg(not(target_env = "gnu"))]
pub fn give_back_large_buffers() {}
