//! Arguments in, exit code out. Knows nothing else.

fn main() {}
