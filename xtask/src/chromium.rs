//! A Chromium for the browser tests: the one that is there, or one from the system's package manager.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::shell::{first_line, run};

/// What the program is called, by preference.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Where macOS keeps it.
const APPLICATIONS: [&str; 2] = [
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/// How a package manager installs Chromium: program, whether it needs root, commands.
const MANAGERS: [(&str, bool, &[&[&str]]); 5] = [
    ("apt-get", true, &[&["update"], &["install", "--yes", "--no-install-recommends", "chromium"]]),
    ("dnf", true, &[&["install", "--assumeyes", "chromium"]]),
    ("pacman", true, &[&["-Sy", "--noconfirm", "chromium"]]),
    ("apk", true, &[&["add", "chromium"]]),
    ("brew", false, &[&["install", "--cask", "chromium"]]),
];

/// The path of a Chromium, installed first if there is none.
pub(crate) fn ensure() -> Result<PathBuf> {
    if let Some(found) = named_by_environment()? {
        return Ok(found);
    }
    if let Some(found) = find() {
        return Ok(found);
    }
    println!("   no Chromium found, installing one with the system's package manager");
    install()?;
    match find() {
        Some(found) => Ok(found),
        None => bail!("the package manager finished, but there is still no Chromium: {}", by_hand()),
    }
}

/// `CHROMIUM` wins, and is an error when it leads nowhere: whoever set it wants that one.
fn named_by_environment() -> Result<Option<PathBuf>> {
    let Some(path) = env::var_os("CHROMIUM").map(PathBuf::from) else { return Ok(None) };
    if !path.is_file() {
        bail!("CHROMIUM is set to {}, which is not a file", path.display());
    }
    Ok(Some(path))
}

fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let installed = NAMES.iter().find_map(|name| find_in(&path, name));
    installed.or_else(|| APPLICATIONS.iter().map(PathBuf::from).find(|path| path.is_file()))
}

fn find_in(path: &OsStr, program: &str) -> Option<PathBuf> {
    env::split_paths(path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn install() -> Result<()> {
    let path = env::var_os("PATH").unwrap_or_default();
    let Some((manager, needs_root, commands)) =
        MANAGERS.iter().find(|(manager, ..)| find_in(&path, manager).is_some())
    else {
        bail!("no package manager that this command knows: {}", by_hand());
    };
    let sudo = *needs_root && !is_root();
    if sudo && find_in(&path, "sudo").is_none() {
        bail!("installing with {manager} needs root, and there is no sudo: {}", by_hand());
    }
    for arguments in *commands {
        run(&mut as_root(sudo, manager, arguments))?;
    }
    Ok(())
}

fn as_root(sudo: bool, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(if sudo { "sudo" } else { program });
    if sudo {
        command.arg(program);
    }
    command.args(arguments);
    command
}

fn is_root() -> bool {
    first_line(Command::new("id").arg("-u")).is_some_and(|id| id == "0")
}

fn by_hand() -> &'static str {
    "install Chromium or Chrome by hand, or set CHROMIUM to the path of one"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_in_the_first_folder_that_has_it() {
        let folder = env::temp_dir().join(format!("tidegate-chromium-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("second")).unwrap();
        std::fs::write(folder.join("second/chromium"), "").unwrap();
        let path = env::join_paths([folder.join("first"), folder.join("second")]).unwrap();
        assert_eq!(find_in(&path, "chromium"), Some(folder.join("second/chromium")));
        assert_eq!(find_in(&path, "chrome"), None);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn root_is_asked_for_only_where_it_is_needed() {
        let line = |command: Command| {
            let words = std::iter::once(command.get_program()).chain(command.get_args());
            words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line(as_root(true, "apk", &["add", "chromium"])), "sudo apk add chromium");
        assert_eq!(line(as_root(false, "apk", &["add", "chromium"])), "apk add chromium");
    }
}
