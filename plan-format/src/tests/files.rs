//! Writing files: what becomes of links, permissions, devices and pipes, of left-overs, and of several writers of one name.

use crate::files::{Destination, FileError, Named, OutputFile, PartialFile, Special, check_outputs, write};
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = fs::canonicalize(folder.path()).expect("it is there");
    (folder, path)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("readable");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").mode() & 0o7777
}

fn fifo(path: &Path) {
    let status = std::process::Command::new("mkfifo").arg(path).status().expect("mkfifo starts");
    assert!(status.success());
}

#[test]
fn a_file_appears_whole_or_not_at_all() {
    let (_owner, folder) = folder();
    let path = folder.join("a");
    fs::write(&path, "old").expect("writable");
    let mut file = OutputFile::create(&path).expect("possible");
    file.write_all(b"new and").expect("written");
    file.seek(SeekFrom::Start(0)).expect("possible");
    file.write_all(b"NEW").expect("written");
    assert_eq!(fs::read(&path).expect("readable"), b"old");
    file.commit().expect("put in place");
    assert_eq!(fs::read(&path).expect("readable"), b"NEW and");
    let mut file = OutputFile::create(&path).expect("possible");
    file.write_all(&[0; 100_000]).expect("written");
    drop(file);
    assert_eq!(fs::read(&path).expect("readable"), b"NEW and");
    assert_eq!(names(&folder), ["a"]);
}

#[test]
fn links_stay_and_what_they_lead_to_is_written() {
    let (_owner, folder) = folder();
    fs::create_dir(folder.join("elsewhere")).expect("possible");
    let (link, hop, target) = (folder.join("link"), folder.join("hop"), folder.join("elsewhere/target"));
    symlink("hop", &link).expect("possible");
    symlink("elsewhere/target", &hop).expect("possible");
    // The first time the link dangles.
    for text in ["made", "replaced"] {
        write(&link, text.as_bytes()).expect("written");
        assert_eq!(fs::read_to_string(&target).expect("there"), text);
        for link in [&link, &hop] {
            assert!(fs::symlink_metadata(link).expect("there").is_symlink());
        }
    }
    assert_eq!(names(&folder), ["elsewhere", "hop", "link"]);
    assert_eq!(names(&folder.join("elsewhere")), ["target"]);
    symlink("round", folder.join("round")).expect("possible");
    let error = write(&folder.join("round"), b"x").expect_err("a circle");
    assert!(matches!(error, FileError::Unreachable { .. }), "{error}");
}

#[test]
fn permissions_are_those_of_a_new_file_or_of_the_old_one() {
    let (_owner, folder) = folder();
    let (usual, path) = (folder.join("usual"), folder.join("a"));
    fs::write(&usual, "").expect("writable");
    write(&path, b"x").expect("written");
    assert_eq!(mode(&path), mode(&usual));
    for bits in [0o600, 0o640, 0o755, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(bits)).expect("possible");
        write(&path, b"y").expect("written");
        assert_eq!(mode(&path), bits, "{bits:o}");
    }
    let mut file = OutputFile::create(&path).expect("possible");
    file.write_all(b"z").expect("written");
    file.commit().expect("put in place");
    assert_eq!(mode(&path), 0o666);
}

#[test]
fn what_is_no_file_is_written_through_or_refused_and_stays_what_it_is() {
    let (_owner, folder) = folder();
    let null = Path::new("/dev/null");
    write(null, b"swallowed").expect("written");
    let mut file = OutputFile::create(null).expect("possible");
    file.write_all(&[1; 100_000]).expect("written");
    file.seek(SeekFrom::Start(5)).expect("possible");
    file.commit().expect("nothing to do");
    assert!(fs::metadata(null).expect("there").file_type().is_char_device());

    let pipe = folder.join("pipe");
    fifo(&pipe);
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || {
            let mut text = String::new();
            fs::File::open(pipe).and_then(|mut pipe| pipe.read_to_string(&mut text)).map(|_| text)
        }
    });
    write(&pipe, b"through").expect("written");
    assert_eq!(reader.join().expect("no panic").expect("read"), "through");
    let error = OutputFile::create(&pipe).expect_err("a pipe has no places");
    assert!(matches!(error, FileError::NotAFile { kind: Special::Pipe, .. }), "{error}");
    assert!(error.to_string().contains("pipe: it is a pipe"), "{error}");

    let socket = folder.join("socket");
    let _socket = std::os::unix::net::UnixListener::bind(&socket).expect("possible");
    assert!(matches!(write(&socket, b"x"), Err(FileError::NotAFile { kind: Special::Socket, .. })));
    let full = write(Path::new("/dev/full"), b"x").expect_err("it is full");
    assert!(matches!(full, FileError::Write { .. }) && full.to_string().contains("/dev/full"), "{full}");
    assert_eq!(names(&folder), ["pipe", "socket"]);
}

#[test]
fn directories_are_named() {
    let (_owner, folder) = folder();
    for (path, is_directory) in [
        (folder.clone(), true),
        (PathBuf::from("/"), true),
        (PathBuf::from(".."), true),
        (folder.join("new/"), true),
        (folder.join("none/file"), false),
        (folder.join("file/inside"), false),
    ] {
        fs::write(folder.join("file"), "").expect("writable");
        let error = write(&path, b"x").expect_err("no file");
        assert!(error.to_string().starts_with(&format!("cannot write {}", path.display())), "{error}");
        assert_eq!(matches!(error, FileError::Directory { .. }), is_directory, "{error}");
    }
    assert!(matches!(write(Path::new(""), b"x"), Err(FileError::Unreachable { .. })));
    assert_eq!(names(&folder), ["file"]);
}

#[test]
fn files_that_are_protected_stay() {
    let (_owner, folder) = folder();
    let path = folder.join("a");
    fs::write(&path, "old").expect("writable");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).expect("possible");
    // Whoever may do anything may do this, too.
    if fs::OpenOptions::new().write(true).open(&path).is_err() {
        assert!(matches!(write(&path, b"new"), Err(FileError::Protected { .. })));
        assert_eq!(fs::read(&path).expect("readable"), b"old");
    }
}

#[test]
fn left_overs_of_the_dead_are_removed_and_files_of_the_living_stay() {
    let (_owner, folder) = folder();
    let target = folder.join("a");
    let living = PartialFile::beside(&target).expect("possible");
    let other = PartialFile::beside(&folder.join("b")).expect("possible");
    // Whatever leaves these, there can be any number of them.
    for index in 0..100 {
        fs::write(folder.join(format!(".a.{index:08}.flashmem-partial")), "dead").expect("writable");
        fs::write(folder.join(format!("a.partial{index}")), "of an older version").expect("writable");
    }
    let not_ours = [".a.flashmem-partial.txt", "a.12345678.flashmem-partial"];
    for name in not_ours {
        fs::write(folder.join(name), "").expect("writable");
    }
    write(&target, b"new").expect("written");
    let left: Vec<_> = names(&folder).into_iter().filter(|name| !name.starts_with("a.partial")).collect();
    let mut expected = vec!["a".to_owned(), not_ours[0].to_owned(), not_ours[1].to_owned()];
    for partial in [&living, &other] {
        expected.push(partial.path().file_name().expect("a name").to_string_lossy().into_owned());
    }
    expected.sort();
    assert_eq!(left, expected);
    drop((living, other));
    assert_eq!(names(&folder).iter().filter(|name| name.ends_with(".flashmem-partial")).count(), 1);
}

#[test]
fn many_writers_of_one_name_are_all_safe() {
    let (_owner, folder) = folder();
    let path = folder.join("a");
    std::thread::scope(|scope| {
        for writer in 0_u8..8 {
            let path = &path;
            scope.spawn(move || {
                for _ in 0..20 {
                    write(path, &vec![writer; 10_000]).expect("written");
                    let found = fs::read(path).expect("there at all times");
                    assert!(found.len() == 10_000 && found.iter().all(|byte| *byte == found[0]));
                }
            });
        }
    });
    assert_eq!(names(&folder), ["a"]);
}

#[test]
fn long_and_odd_names_can_be_written() {
    let (_owner, folder) = folder();
    for name in ["n".repeat(255), "ü".repeat(127), "a b\n\u{7f}".to_owned(), ".hidden".to_owned(), "-".to_owned()] {
        write(&folder.join(&name), b"x").expect("written");
        assert_eq!(names(&folder), [name.as_str()]);
        fs::remove_file(folder.join(name)).expect("there");
    }
}

#[test]
fn outputs_that_are_inputs_are_refused_by_any_name() {
    let (_owner, folder) = folder();
    let path = |name: &str| folder.join(name);
    fs::write(path("input"), "precious").expect("writable");
    fs::hard_link(path("input"), path("hard")).expect("possible");
    symlink("input", path("soft")).expect("possible");
    symlink("soft", path("softer")).expect("possible");
    fs::create_dir(path("inner")).expect("possible");
    let inputs = |name: &str| [Named::new("the model", &path(name)), Named::new("--golden", &path("absent"))];
    for input in ["input", "hard", "soft"] {
        for output in ["input", "hard", "soft", "softer", "inner/../input", "./input"] {
            let error = check_outputs(&inputs(input), &[Named::new("--report", &path(output))]).expect_err("the same");
            assert!(matches!(error, FileError::OutputIsInput { .. }), "{error}");
            let text = error.to_string();
            assert!(text.contains("--report") && text.contains("the model") && text.contains(output), "{text}");
        }
    }
    let fresh = [Named::new("--report", &path("absent"))];
    check_outputs(&inputs("input"), &fresh).expect("what is not there is not read");
    assert_eq!(fs::read_to_string(path("input")).expect("there"), "precious");
}

#[test]
fn outputs_that_are_one_file_are_refused() {
    let (_owner, folder) = folder();
    let path = |name: &str| folder.join(name);
    fs::write(path("old"), "").expect("writable");
    fs::hard_link(path("old"), path("hard")).expect("possible");
    symlink("new", path("dangling")).expect("possible");
    fs::create_dir(path("inner")).expect("possible");
    symlink(".", path("here")).expect("possible");
    let both = |first: &Path, second: &Path| {
        check_outputs(&[], &[Named::new("--stats", first), Named::new("--trace", second)])
    };
    for (first, second) in [("old", "hard"), ("new", "new"), ("new", "dangling"), ("here/new", "inner/../new")] {
        let error = both(&path(first), &path(second)).expect_err("the same");
        assert!(matches!(error, FileError::OutputsCoincide { .. }), "{error}");
    }
    both(&path("new"), &path("inner/new")).expect("two files");
    both(Path::new("/dev/null"), Path::new("/dev/null")).expect("it takes everything");
}

#[test]
fn destinations_are_told_apart() {
    let (_owner, folder) = folder();
    assert_eq!(Destination::of(&folder.join("new")).expect("possible"), Destination::File(folder.join("new")));
    let null = Destination::of(Path::new("/dev/null")).expect("possible");
    assert_eq!(null, Destination::Null("/dev/null".into()));
}
