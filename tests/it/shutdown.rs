//! How a read ends on signals, with a stdout that is closed, full or unread, and as the first process of a container.
//!
//! No test measures time: each waits for the process to end, and a process that hangs hangs the test.

use std::fs::File;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use asana_simulator::{Fault, FaultRule, Options, Plan, Scale, Simulator, Token, World};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::harness::{Connector, Run, TOKEN, catalog_of};
use crate::read_full::delivered;
use crate::truth;

const STREAMS: &[&str] = &["workspaces", "users", "tags", "projects", "sections", "tasks", "stories"];
const STORIES: &str = "/tasks/{gid}/stories";

/// What a shell reports for a process that died of a signal.
const DIED_OF: i32 = 128;

fn simulator(scale: &Scale) -> Simulator {
    let options = Options { tokens: vec![Token::new(TOKEN, Plan::Paid)], ..Options::default() };
    Simulator::start_blocking(World::generate(1, scale), options).unwrap()
}

/// An Asana that never answers for stories, so that a read does not end.
fn stuck() -> Simulator {
    let simulator = simulator(&Scale::small());
    let an_hour = Duration::from_secs(60 * 60);
    simulator.faults().add(FaultRule::new(STORIES, Fault::SlowHeaders(an_hour)).label("stuck"));
    simulator
}

fn catalog() -> Value {
    catalog_of(STREAMS, "incremental")
}

fn started(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn send(process: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(process).unwrap()), signal).unwrap();
}

/// The lines of stdout until one has this text.
fn lines_until(stdout: &mut impl BufRead, text: &str) -> String {
    let mut read = String::new();
    loop {
        let before = read.len();
        assert_ne!(stdout.read_line(&mut read).unwrap(), 0, "no {text} in {read}");
        if read[before..].contains(text) {
            return read;
        }
    }
}

/// Nothing on stderr but what a signal's sender prints: no panic, no token.
fn assert_quiet(child: &mut Child) {
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(stderr, "");
}

/// Reads until task records arrive, sends a signal, and returns the output.
fn stopped_by(signal: Signal) -> (Run, ExitStatus) {
    let simulator = stuck();
    let connector = Connector::new(&simulator.base_url());
    let mut child = started(connector.read_command(&catalog(), None));
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut text = lines_until(&mut stdout, r#""stream":"tasks""#);
    send(child.id(), signal);
    stdout.read_to_string(&mut text).unwrap();
    let status = child.wait().unwrap();
    assert_quiet(&mut child);
    (Run::parse(text.into_bytes(), status.code()), status)
}

fn assert_orderly(run: &Run, name: &str) {
    let messages: Vec<_> = run.errors().iter().map(|error| error["message"].to_string()).collect();
    assert!(messages[0].contains(&format!("the sync was stopped by {name}")), "{messages:#?}");
    assert_eq!(messages.len(), 1, "one failure, not one per stream: {messages:#?}");
    assert_eq!(run.errors()[0]["failure_type"], "transient_error");
    for stream in STREAMS {
        let states = run.of_type("STATE");
        let states = states.filter(|message| {
            message["state"]["stream"]["stream_descriptor"]["name"].as_str() == Some(stream)
        });
        assert!(states.count() > 0, "{stream} has no state");
        assert!(matches!(run.statuses(stream).last(), Some(&"COMPLETE" | &"INCOMPLETE")), "{stream}");
    }
    assert_eq!(run.statuses("stories").last(), Some(&"INCOMPLETE"));
}

#[test]
fn sigterm_ends_a_read_in_order_and_the_process_dies_of_it() {
    let (run, status) = stopped_by(Signal::SIGTERM);
    assert_eq!((status.signal(), status.code()), (Some(Signal::SIGTERM as i32), None));
    assert_orderly(&run, "SIGTERM");
}

#[test]
fn sigint_ends_a_read_in_order_and_the_process_dies_of_it() {
    let (run, status) = stopped_by(Signal::SIGINT);
    assert_eq!((status.signal(), status.code()), (Some(Signal::SIGINT as i32), None));
    assert_orderly(&run, "SIGINT");
}

/// Records that the state covers are not read again, and no others are missing.
#[test]
fn a_read_that_was_stopped_is_gone_on_with() {
    let simulator = stuck();
    let connector = Connector::new(&simulator.base_url());
    let mut child = started(connector.read_command(&catalog(), None));
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut text = lines_until(&mut stdout, r#""stream":"tasks""#);
    send(child.id(), Signal::SIGTERM);
    stdout.read_to_string(&mut text).unwrap();
    child.wait().unwrap();
    let first = Run::parse(text.into_bytes(), None);
    simulator.faults().clear();
    let second = connector.read(&catalog(), Some(&first.state())).expect_success();
    let expected = simulator.world(|world| truth::keys(world, simulator.viewer(TOKEN).unwrap()));
    let (first, second) = (delivered(&first), delivered(&second));
    for stream in STREAMS {
        let came = |key: &String| {
            [&first, &second].iter().any(|run| run.get(*stream).is_some_and(|keys| keys.contains_key(key)))
        };
        let lost: Vec<_> = expected[stream].iter().filter(|key| !came(key)).collect();
        assert!(lost.is_empty(), "{stream}: {lost:?}");
    }
}

/// A pipe that nobody reads and that has no room for another byte, so that the first write blocks; its reader must
/// be kept, or the write would fail instead.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let flags = |flags| fcntl(&writer, FcntlArg::F_SETFL(flags)).unwrap();
    flags(OFlag::O_NONBLOCK);
    while (&writer).write(b"\n").is_ok() {}
    flags(OFlag::empty());
    writer.flush().unwrap();
    (reader, writer)
}

/// Destinations can be slow for hours, and PyAirbyte stops a source by a signal while it reads nothing more.
#[test]
fn a_signal_ends_a_read_whose_stdout_is_full_and_unread() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let simulator = simulator(&Scale::tiny());
        let connector = Connector::new(&simulator.base_url());
        let (reader, writer) = full_pipe();
        let mut command = connector.read_command(&catalog(), None);
        let mut child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        wait_for_a_request(&simulator);
        send(child.id(), signal);
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(signal as i32));
        assert_quiet(&mut child);
        drop(reader);
    }
}

fn wait_for_a_request(simulator: &Simulator) {
    while simulator.requests().is_empty() {
        std::thread::yield_now();
    }
}

#[test]
fn a_second_signal_does_not_wait() {
    let simulator = stuck();
    let connector = Connector::new(&simulator.base_url());
    let mut child = started(connector.read_command(&catalog(), None));
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    lines_until(&mut stdout, "RUNNING");
    send(child.id(), Signal::SIGTERM);
    send(child.id(), Signal::SIGINT);
    let status = child.wait().unwrap();
    assert!(matches!(status.signal(), Some(2 | 15)), "{status}");
    assert_quiet(&mut child);
}

/// A platform may close the pipe early, like `head`.
#[test]
fn a_reader_that_goes_away_ends_the_read_without_a_word() {
    let simulator = simulator(&Scale::small());
    let connector = Connector::new(&simulator.base_url());
    let mut child = started(connector.read_command(&catalog(), None));
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    lines_until(&mut stdout, "RECORD");
    drop(stdout);
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(DIED_OF + Signal::SIGTERM as i32));
    assert_quiet(&mut child);
}

#[test]
fn the_other_commands_mind_no_closed_stdout_either() {
    let connector = Connector::new("http://127.0.0.1:9");
    let config = connector.file("config.json", &json!({"token": TOKEN}).to_string());
    for arguments in [&["spec"][..], &["discover", "--config", &config], &["check", "--config", &config]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = connector.command(arguments);
        let mut child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(DIED_OF + Signal::SIGTERM as i32), "{arguments:?}");
        assert_quiet(&mut child);
    }
}

/// `/dev/full` refuses every write, like a full disk; stderr still works.
#[test]
fn a_stdout_that_cannot_be_written_is_told_on_stderr() {
    let simulator = simulator(&Scale::tiny());
    let connector = Connector::new(&simulator.base_url());
    let mut command = connector.read_command(&catalog(), None);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = command.stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with("stdout cannot be written: ") && stderr.lines().count() == 1, "{stderr}");
}

/// Commands other than `read` have nothing to finish.
#[test]
fn a_check_dies_of_a_signal_at_once() {
    let simulator = simulator(&Scale::tiny());
    let an_hour = Duration::from_secs(60 * 60);
    simulator.faults().add(FaultRule::new("*", Fault::SlowHeaders(an_hour)));
    let connector = Connector::new(&simulator.base_url());
    let mut child = started(connector.check_command());
    wait_for_a_request(&simulator);
    send(child.id(), Signal::SIGTERM);
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::SIGTERM as i32));
    assert_quiet(&mut child);
}

/// In a separate PID namespace, whose first process is the connector: the kernel keeps the default actions of signals
/// from it, as it does in a container without an init.
fn as_first_process(command: &Command) -> Command {
    let mut first = Command::new("unshare");
    first.args(["--pid", "--fork", "--"]).arg(command.get_program()).args(command.get_args());
    first.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).stdin(Stdio::null());
    first
}

fn can_be_first_process() -> bool {
    let probe = Command::new("unshare").args(["--pid", "--fork", "--", "true"]).output();
    let can = probe.is_ok_and(|output| output.status.success());
    if !can {
        // Past the test harness, which keeps what passing tests print to itself.
        let said = writeln!(
            std::io::stderr(),
            "SKIPPED the connector as PID 1: this machine lets no PID namespace be made with `unshare --pid --fork`"
        );
        said.unwrap();
    }
    can
}

/// The connector's process as it is known out here: `unshare` passes no signal on, nor does a container's runtime go
/// through it.
fn only_child(parent: u32) -> u32 {
    let parent_of = |process: u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name, in parentheses, may contain anything; state and parent follow.
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    loop {
        let processes = std::fs::read_dir("/proc").unwrap();
        let processes = processes.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
        if let Some(child) = processes.into_iter().find(|process| parent_of(*process) == Some(parent)) {
            return child;
        }
        std::thread::yield_now();
    }
}

#[test]
fn the_first_process_of_a_container_ends_in_order_too() {
    if !can_be_first_process() {
        return;
    }
    for (signal, name) in [(Signal::SIGTERM, "SIGTERM"), (Signal::SIGINT, "SIGINT")] {
        let simulator = stuck();
        let connector = Connector::new(&simulator.base_url());
        let mut child = started(as_first_process(&connector.read_command(&catalog(), None)));
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut text = lines_until(&mut stdout, r#""stream":"tasks""#);
        send(only_child(child.id()), signal);
        stdout.read_to_string(&mut text).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(DIED_OF + signal as i32));
        assert_quiet(&mut child);
        assert_orderly(&Run::parse(text.into_bytes(), status.code()), name);
    }
}

#[test]
fn the_first_process_of_a_container_ends_with_a_full_stdout_too() {
    if !can_be_first_process() {
        return;
    }
    let simulator = simulator(&Scale::tiny());
    let connector = Connector::new(&simulator.base_url());
    let (reader, writer) = full_pipe();
    let mut command = as_first_process(&connector.read_command(&catalog(), None));
    let mut child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_a_request(&simulator);
    send(only_child(child.id()), Signal::SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(DIED_OF + Signal::SIGTERM as i32));
    assert_quiet(&mut child);
    drop(reader);
}
