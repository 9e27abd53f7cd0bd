//! The project's own commands. Knows the workspace's layout, nothing of Asana or Airbyte.

fn main() {}
