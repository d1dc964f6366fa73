//! Where things are in this workspace, and how other programs are started.
//!
//! Everything that fails says which command to run again, and from where.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, bail};

/// The folder of the workspace's `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().expect("xtask is a folder of the workspace").to_path_buf()
}

/// The dashboard: the Vite app that the server embeds.
pub(crate) fn dashboard() -> PathBuf {
    root().join("examples/react")
}

/// The cargo that runs this program, in the workspace.
pub(crate) fn cargo<I: AsRef<OsStr>>(arguments: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Where cargo puts what it builds.
pub(crate) fn target_folder() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    root().join(target)
}

/// The same, with the dev profile.
pub(crate) fn debug_folder() -> PathBuf {
    target_folder().join("debug")
}

/// Runs a command to its end, with its output shown.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line_of(command);
    println!("   $ {line}");
    let status = command.status().with_context(|| format!("`{line}` could not be started"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})\nrun it again: {}", again(command, &line));
    }
    Ok(())
}

/// The first line that a command prints, or `None` when it cannot be run or fails.
pub(crate) fn first_line(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned)
}

/// A command as a person would type it.
fn line_of(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_stem().unwrap_or_default().to_string_lossy();
    let arguments = command.get_args().map(|argument| format!(" {}", quoted(&argument.to_string_lossy())));
    format!("{program}{}", arguments.collect::<String>())
}

/// The same with its folder and what it needs from the environment.
fn again(command: &Command, line: &str) -> String {
    let environment = command.get_envs().filter_map(|(name, value)| {
        Some(format!("{}={} ", name.to_string_lossy(), quoted(&value?.to_string_lossy())))
    });
    let environment: String = environment.collect();
    match command.get_current_dir().map(|folder| folder.strip_prefix(root()).unwrap_or(folder)) {
        Some(folder) if folder != Path::new("") => {
            format!("(cd {} && {environment}{line})", folder.display())
        }
        _ => format!("{environment}{line}"),
    }
}

/// In quotes where a shell would read something else into it.
fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,@+".contains(letter);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{text}'") }
}

/// The steps of a long command: a headline before each, its time after it, the first failure ends it.
#[derive(Debug)]
pub(crate) struct Steps {
    began: Instant,
    times: Vec<(String, f64)>,
    not_run: Vec<(String, String)>,
}

/// How a step ended that has not failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// What it checks holds.
    Done,
    /// Nothing is known: this is missing.
    NotRun(String),
}

impl Steps {
    pub(crate) fn begin() -> Self {
        Self { began: Instant::now(), times: Vec::new(), not_run: Vec::new() }
    }

    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        self.step_if_possible(name, || work().map(|()| Outcome::Done))
    }

    /// A step that this machine may lack something for.
    pub(crate) fn step_if_possible(
        &mut self,
        name: &str,
        work: impl FnOnce() -> Result<Outcome>,
    ) -> Result<()> {
        println!("\n== {name}");
        let began = Instant::now();
        let outcome = work().with_context(|| format!("step `{name}` failed"))?;
        let seconds = began.elapsed().as_secs_f64();
        match outcome {
            Outcome::Done => println!("   {name}: done in {seconds:.1} s"),
            Outcome::NotRun(why) => {
                println!("   {name}: NOT RUN: {why}");
                self.not_run.push((name.to_owned(), why));
            }
        }
        self.times.push((name.to_owned(), seconds));
        Ok(())
    }

    /// Every step with its time, and again those that were not run.
    pub(crate) fn summary(&self) {
        println!();
        for (name, seconds) in &self.times {
            println!("   {seconds:>7.1} s  {name}");
        }
        println!("   {:>7.1} s  in all", self.began.elapsed().as_secs_f64());
        for (name, why) in &self.not_run {
            println!("   NOT RUN: {name}: {why}");
        }
    }
}

/// When something in `paths` (files, or folders with all that is in them) was last changed.
///
/// Folders that commands write (`node_modules`, `dist`) are skipped inside of a folder, not when they are named.
pub(crate) fn newest(paths: &[PathBuf]) -> Option<SystemTime> {
    paths.iter().filter_map(|path| newest_in(path)).max()
}

fn newest_in(path: &Path) -> Option<SystemTime> {
    let metadata = fs::metadata(path).ok()?;
    let own = metadata.modified().ok();
    if !metadata.is_dir() {
        return own;
    }
    let entries = fs::read_dir(path).ok()?.flatten();
    let written = |name: &OsStr| name == "node_modules" || name == "dist";
    entries.filter(|entry| !written(&entry.file_name())).filter_map(|entry| newest_in(&entry.path())).max()
}

/// Whether `output` is missing or older than the newest of `inputs`.
pub(crate) fn is_stale(output: &Path, inputs: &[PathBuf]) -> bool {
    let Ok(made) = fs::metadata(output).and_then(|metadata| metadata.modified()) else { return true };
    newest(inputs).is_some_and(|changed| changed > made)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = env::temp_dir().join(format!("tidegate-xtask-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn write(path: &Path, seconds: u64) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = fs::File::create(path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    }

    #[test]
    fn an_output_is_stale_when_missing_or_older_than_any_input() {
        let folder = folder("stale");
        let (output, inputs) = (folder.join("out"), [folder.join("src")]);
        write(&folder.join("src/deep/file"), 100);
        assert!(is_stale(&output, &inputs), "missing");
        write(&output, 50);
        assert!(is_stale(&output, &inputs), "older");
        write(&output, 150);
        assert!(!is_stale(&output, &inputs), "newer");
        write(&folder.join("src/node_modules/thing"), 200);
        assert!(!is_stale(&output, &inputs), "what commands write does not count");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_failed_command_says_how_to_run_it_again() {
        let mut command = Command::new("false");
        command.arg("--all").current_dir(root().join("npm")).env("KEY", "two words");
        let error = run(&mut command).unwrap_err().to_string();
        assert!(error.contains("run it again: (cd npm && KEY='two words' false --all)"), "{error}");
    }

    #[test]
    fn a_step_that_cannot_run_is_named_at_the_end_and_fails_nothing() {
        let mut steps = Steps::begin();
        steps.step("one", || Ok(())).unwrap();
        steps.step_if_possible("two", || Ok(Outcome::NotRun("no compiler".into()))).unwrap();
        assert_eq!(steps.not_run, [("two".to_owned(), "no compiler".to_owned())]);
        let error = steps.step("three", || bail!("it broke")).unwrap_err();
        assert_eq!(format!("{error:#}"), "step `three` failed: it broke");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run(&mut Command::new("no-such-program")).unwrap_err().to_string();
        assert!(error.contains("`no-such-program` could not be started"), "{error}");
    }
}
