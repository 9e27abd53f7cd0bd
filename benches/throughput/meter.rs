//! Runs a program and measures it: wall time, processor time, peak memory, lines. Knows no Asana.
//!
//! The kernel counts the memory of a process from before it became another program, so a child of this large
//! process would seem as large. Therefore a small process stands between: this same program, which does nothing
//! but run the measured one and tell what the kernel says of its children.

use std::error::Error;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// The argument that makes this program the small process between.
pub const METER: &str = "meter";

/// What a run took.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    pub wall: Duration,
    /// User and system time of the process and its threads.
    pub processor: Duration,
    /// Bytes of resident memory at the peak.
    pub peak_memory: u64,
    /// RECORD lines on stdout.
    pub records: u64,
}

/// Runs `program` to its end, reading all that it prints.
///
/// # Errors
///
/// When it cannot be run or fails.
pub fn measure(program: &Command) -> Result<Usage, Box<dyn Error>> {
    let mut meter = Command::new(std::env::current_exe()?);
    meter.arg(METER).arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        meter.env(name, value.unwrap_or_default());
    }
    let begin = Instant::now();
    let mut meter = meter.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut output = BufReader::with_capacity(256 * 1024, meter.stdout.take().ok_or("stdout is piped")?);
    let (mut records, mut line, mut last_other) = (0, Vec::new(), Vec::new());
    while output.read_until(b'\n', &mut line)? > 0 {
        if line.starts_with(br#"{"type":"RECORD""#) || line.starts_with(br#"{"record""#) {
            records += 1;
        } else {
            last_other.clone_from(&line);
        }
        line.clear();
    }
    let wall = begin.elapsed();
    let mut told = String::new();
    meter.stderr.take().ok_or("stderr is piped")?.read_to_string(&mut told)?;
    if !meter.wait()?.success() {
        return Err(format!("it failed: {told}{}", String::from_utf8_lossy(&last_other)).into());
    }
    let numbers: Vec<u64> =
        told.lines().last().unwrap_or_default().split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let [microseconds, peak_memory] = numbers[..] else { return Err(told.into()) };
    Ok(Usage { wall, processor: Duration::from_micros(microseconds), peak_memory, records })
}

/// The small process between: runs the program that the arguments name and prints its processor time in
/// microseconds and its peak memory in bytes to stderr.
pub fn stand_between(mut arguments: impl Iterator<Item = OsString>) -> Result<ExitCode, Box<dyn Error>> {
    let program = arguments.next().ok_or("a program to measure")?;
    let status = Command::new(program).args(arguments).status()?;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let microseconds = |time: TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
    // Linux counts memory in kibibytes.
    let [processor, memory] =
        [microseconds(usage.user_time()) + microseconds(usage.system_time()), usage.max_rss() * 1024];
    eprintln!("{processor} {memory}");
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Time from the start of `program` to the first byte that it prints.
pub fn time_to_first_byte(program: &mut Command) -> Result<Duration, Box<dyn Error>> {
    let begin = Instant::now();
    let mut child = program.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut output = child.stdout.take().ok_or("stdout is piped")?;
    output.read_exact(&mut [0])?;
    let elapsed = begin.elapsed();
    output.read_to_end(&mut Vec::new())?;
    if !child.wait()?.success() {
        return Err("it failed".into());
    }
    Ok(elapsed)
}
