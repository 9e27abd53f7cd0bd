//! What each program compiles: the connector nothing that only a destination needs, and no program a second
//! cryptography.

use std::process::Command;

/// The packages of a program's own build that have one of these beginnings.
fn compiled(package: &str, beginnings: &[&str]) -> Vec<String> {
    let arguments =
        ["tree", "--offline", "--package", package, "--prefix", "none", "--edges", "normal,build"];
    let output = Command::new(std::env::var("CARGO").unwrap()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    let found = names.filter(|name| beginnings.iter().any(|beginning| name.starts_with(beginning)));
    found.map(str::to_owned).collect()
}

#[test]
fn the_connector_compiles_nothing_of_arrow_iceberg_or_sqlite() {
    let heavy = ["arrow", "parquet", "iceberg", "opendal", "rusqlite", "libsqlite3", "sqlx"];
    assert_eq!(compiled("source-asana", &heavy), Vec::<String>::new());
    assert!(compiled("destination-iceberg", &heavy).len() > 5, "the check sees what it looks for");
}

/// AWS-LC takes longer to compile than most of the rest, and needs CMake on some machines.
#[test]
fn cryptography_is_ring_alone() {
    for program in ["source-asana", "destination-iceberg"] {
        assert_eq!(compiled(program, &["aws-lc", "openssl-sys"]), Vec::<String>::new(), "{program}");
        assert!(
            compiled(program, &["ring"]).contains(&"ring".to_owned()),
            "the check sees what it looks for"
        );
    }
}
