//! The two tiers of tests as tables: what each suite is called, what the machine has to have for it, and its commands.
//! To add a suite, add a row.

use crate::shell::{command, succeeds};

/// One suite of a tier.
pub struct Suite {
    pub name: &'static str,
    /// One line for `cargo xtask verify --list`.
    pub shows: &'static str,
    pub needs: &'static [Need],
    /// The suite fails with the first command that fails. A command that ends with exit code 75 has printed a line
    /// `SKIPPED reason`: this machine cannot run the suite, whatever is installed on it.
    pub commands: &'static [&'static [&'static str]],
    /// Commands whose failure means that this machine cannot run the rest of the suite, and why.
    pub probe: Option<Probe>,
}

/// A thing outside of this machine that a suite asks for before it does the rest.
pub struct Probe {
    pub command: &'static [&'static str],
    pub without: &'static str,
    /// The commands that are not run when the probe fails.
    pub then: &'static [&'static [&'static str]],
}

/// A program that has to be installed first. `.ci/run` installs all of them, so in CI a missing one is a failure.
#[derive(Clone, Copy)]
pub enum Need {
    Rustfmt,
    Clippy,
    CargoDeny,
    Python,
    Npm,
    Buildah,
    Debootstrap,
    /// The right to make a PID namespace: some tests run the connector as the first process of one.
    Unshare,
}

impl Suite {
    /// Whether its commands are cargo's own, most of which hold the lock of the target folder for long.
    pub fn calls_cargo(&self) -> bool {
        self.commands.iter().any(|words| words.first() == Some(&"cargo"))
    }
}

impl Need {
    pub fn is_met(self) -> bool {
        let probe: &[&str] = match self {
            Self::Rustfmt => &["cargo", "fmt", "--version"],
            Self::Clippy => &["cargo", "clippy", "--version"],
            Self::CargoDeny => &["cargo", "deny", "--version"],
            Self::Python => &["python3", "-c", "import venv, ensurepip"],
            Self::Npm => &["npm", "--version"],
            Self::Buildah => &["buildah", "--version"],
            Self::Debootstrap => &["debootstrap", "--version"],
            Self::Unshare => &["unshare", "--pid", "--fork", "--", "true"],
        };
        succeeds(command(probe))
    }

    /// What is missing, and how to get it.
    pub fn how(self) -> &'static str {
        match self {
            Self::Rustfmt => "rustfmt is not installed (`rustup component add rustfmt`)",
            Self::Clippy => "clippy is not installed (`rustup component add clippy`)",
            Self::CargoDeny => "cargo-deny is not installed (`cargo install --locked cargo-deny@0.20.2`)",
            Self::Python => "there is no python3 that can make environments (`apt-get install python3-venv`)",
            Self::Npm => "npm is not installed (`apt-get install npm`)",
            Self::Buildah => "buildah is not installed (`apt-get install buildah`)",
            Self::Debootstrap => "debootstrap is not installed (`apt-get install debootstrap`)",
            Self::Unshare => "`unshare --pid --fork` is not permitted here",
        }
    }
}

const CARGO_TEST: &[&str] = &["cargo", "test", "--workspace", "--quiet"];

/// `cargo xtask test`: what everybody runs before a commit, on small worlds. Cheapest failures first.
pub const TEST: &[Suite] = &[
    Suite {
        name: "formatting",
        shows: "every Rust file is formatted",
        needs: &[Need::Rustfmt],
        commands: &[&["cargo", "fmt", "--all", "--check"]],
        probe: None,
    },
    Suite {
        name: "tests",
        shows: "the tests of all crates, but for those that read a medium world",
        needs: &[],
        commands: &[&[CARGO_TEST[0], CARGO_TEST[1], CARGO_TEST[2], CARGO_TEST[3], "--", "--skip", "medium"]],
        probe: None,
    },
];

/// `cargo xtask verify`: everything else. The suites that take longest are not last, so that two run to the end.
pub const VERIFY: &[Suite] = &[
    Suite {
        name: "lints",
        shows: "clippy, where every warning is an error, over the fuzz targets too",
        needs: &[Need::Clippy],
        commands: &[&[
            "cargo",
            "clippy",
            "--workspace",
            "--all-targets",
            "--features",
            "source-asana-fuzz/targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ]],
        probe: None,
    },
    Suite {
        name: "docs",
        shows: "the documentation of the code, where a broken link is an error",
        needs: &[],
        commands: &[&["cargo", "doc", "--workspace", "--no-deps", "--document-private-items", "--quiet"]],
        probe: None,
    },
    Suite {
        name: "medium",
        shows: "the tests that read an account of 15,000 tasks",
        needs: &[],
        commands: &[&["cargo", "test", "--workspace", "--quiet", "--test", "it", "--", "medium"]],
        probe: None,
    },
    Suite {
        name: "signals",
        shows: "the connector as the first process of a container is stopped in order",
        needs: &[Need::Unshare],
        commands: &[&["cargo", "test", "--workspace", "--quiet", "--test", "it", "--", "first_process"]],
        probe: None,
    },
    Suite {
        name: "dependencies",
        shows: "licences, sources, duplicates and advisories of what we link",
        needs: &[Need::CargoDeny],
        commands: &[
            &["cargo", "deny", "--workspace", "check", "licenses", "sources"],
            &["cargo", "deny", "check", "bans"],
        ],
        probe: Some(Probe {
            command: &["cargo", "deny", "fetch", "db"],
            without: "the advisories: their database is out of reach from here",
            then: &[&["cargo", "deny", "check", "advisories"]],
        }),
    },
    Suite {
        name: "image",
        shows: "the Dockerfile builds images that Airbyte's platform and other runners can run",
        needs: &[Need::Python, Need::Buildah, Need::Debootstrap],
        // It compiles on all cores for minutes. The suites beside it give the connector a second to stop.
        commands: &[&["nice", "-n", "10", "bash", "acceptance-tests/run.sh", "image", "runners"]],
        probe: None,
    },
    Suite {
        name: "workflows",
        shows: "the workflow files work (actionlint) and are safe (zizmor)",
        needs: &[Need::Python],
        commands: &[&["bash", "acceptance-tests/workflows.sh"]],
        probe: None,
    },
    Suite {
        name: "acceptance",
        shows: "the connector under Airbyte's protocol models, platform scripts, CDK and PyAirbyte",
        needs: &[Need::Python],
        commands: &[&[
            "bash",
            "acceptance-tests/run.sh",
            "protocol",
            "platform",
            "cdk",
            "sign_in",
            "pyairbyte",
        ]],
        probe: None,
    },
    Suite {
        name: "terminal",
        shows: "the progress bars and the table that a person sees at a terminal, as pyte draws them",
        needs: &[Need::Python],
        commands: &[&["bash", "acceptance-tests/terminal/run.sh"]],
        probe: None,
    },
    Suite {
        name: "readers",
        shows: "the tables of the destination, read back by PyIceberg and DuckDB",
        needs: &[Need::Python],
        commands: &[&["bash", "crates/destination-iceberg/verification/run.sh"]],
        probe: None,
    },
    Suite {
        name: "catalogs",
        shows: "the destination with a REST catalog that is not ours, and its signatures by independent verifiers",
        needs: &[Need::Python],
        commands: &[&["bash", "crates/destination-iceberg/verification/run.sh", "catalogs"]],
        probe: None,
    },
    Suite {
        name: "stores",
        shows: "the destination on emulators of Google Cloud Storage and Azure",
        needs: &[Need::Python, Need::Npm],
        commands: &[&["bash", "crates/destination-iceberg/verification/run.sh", "stores"]],
        probe: None,
    },
    Suite {
        name: "dbt",
        shows: "the dbt package over tables that the connector filled, each model compared with the account",
        needs: &[Need::Python],
        commands: &[&["bash", "dbt/verification/run.sh"]],
        probe: None,
    },
];
