//! Programs that tests need and cargo does not install: from the system's package manager.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::shell::{first_line, run};

/// What package managers call a program, in their own order of preference.
pub(crate) struct Package {
    /// The manager, and what its command for installing is given.
    pub(crate) names: [(&'static str, &'static [&'static str]); 5],
    /// What to do where none of them is there.
    pub(crate) by_hand: &'static str,
}

/// How a package manager installs: program, whether it needs root, commands; the last one takes the package.
const MANAGERS: [(&str, bool, &[&[&str]]); 5] = [
    ("apt-get", true, &[&["update"], &["install", "--yes", "--no-install-recommends"]]),
    ("dnf", true, &[&["install", "--assumeyes"]]),
    ("pacman", true, &[&["-Sy", "--noconfirm"]]),
    ("apk", true, &[&["add"]]),
    ("brew", false, &[&["install"]]),
];

/// Installs it with the first package manager that is there.
pub(crate) fn install(package: &Package) -> Result<()> {
    let path = env::var_os("PATH").unwrap_or_default();
    let Some((manager, needs_root, commands)) =
        MANAGERS.iter().find(|(manager, ..)| find_in(&path, manager).is_some())
    else {
        bail!("no package manager that this command knows: {}", package.by_hand);
    };
    let sudo = *needs_root && !is_root();
    if sudo && find_in(&path, "sudo").is_none() {
        bail!("installing with {manager} needs root, and there is no sudo: {}", package.by_hand);
    }
    let named = package.names.iter().find(|(name, _)| name == manager).map_or(&[][..], |(_, words)| *words);
    let last = commands.len() - 1;
    for (index, arguments) in commands.iter().enumerate() {
        let mut command = as_root(sudo, manager, arguments);
        if index == last {
            command.args(named);
        }
        run(&mut command)?;
    }
    Ok(())
}

/// The program, if it is in one of the folders of a `PATH`.
pub(crate) fn find_in(path: &OsStr, program: &str) -> Option<PathBuf> {
    env::split_paths(path).map(|folder| folder.join(program)).find(|file| file.is_file())
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
