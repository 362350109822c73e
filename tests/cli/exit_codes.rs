//! Every exit code of every command.

use crate::fixtures::*;
use crate::support::Folder;

struct Case {
    arguments: &'static str,
    set_up: fn(&Folder) -> Held,
    code: i32,
    /// Texts that standard error has to contain, such as the path.
    mentions: &'static [&'static str],
}

fn case(
    arguments: &'static str,
    set_up: fn(&Folder) -> Held,
    code: i32,
    mentions: &'static [&'static str],
) -> Case {
    Case { arguments, set_up, code, mentions }
}

fn cases() -> Vec<Case> {
    vec![
        // 0: success
        case("--help", nothing, 0, &[]),
        case("run --help", nothing, 0, &[]),
        case("help check", nothing, 0, &[]),
        case("--version", nothing, 0, &[]),
        case("list --registry r.json", nothing, 0, &[]),
        case("--registry r.json list --json", expired, 0, &[]),
        case("list --registry r.json", non_record, 0, &[]),
        case("prune --registry r.json", nothing, 0, &[]),
        case("prune --registry r.json --json --dry-run", busy, 0, &[]),
        case("prune --registry r.json --liveness", dead, 0, &[]),
        case("prune --registry r.json", expired, 0, &[]),
        case("remove --registry r.json app", fresh, 0, &[]),
        case("remove --registry r.json absent", fresh, 0, &[]),
        case("remove --registry r.json absent", nothing, 0, &[]),
        case("status r.json", nothing, 0, &[]),
        case("status nowhere/r.json", nothing, 0, &[]),
        case("status --registry r.json", busy, 0, &[]),
        case("status r.json", stale_lockfile, 0, &[]),
        case("status e.toml", busy_document, 0, &[]),
        case("status e.lock --json", shared_document, 0, &[]),
        case("status --lock-file e.lock", nothing, 0, &[]),
        case("run r.json -- true", nothing, 0, &[]),
        case("run --registry r.json --exclusive -- true", fresh, 0, &[]),
        case("run e.toml --shared -- true", shared_document, 0, &[]),
        case("run --lock-file any -- true", nothing, 0, &[]),
        case("check r.json", nothing, 0, &[]),
        case("check --registry r.json --strict", fresh, 0, &[]),
        case("check r.json", non_record, 0, &[]),
        case("check r.json", dead, 0, &[]),
        case("check r.json", stale_lockfile, 0, &[]),
        case("check r.json --ttl 7200", expired, 0, &[]),
        case("check e.toml", nothing, 0, &[]),
        case("check e.toml --strict", valid_document, 0, &[]),
        case("check e.toml --strict", shared_document, 0, &[]),
        // 1: usage
        case("", nothing, 1, &["Usage"]),
        case("bogus", nothing, 1, &["bogus", "--help"]),
        case("list --bogus", nothing, 1, &["--bogus", "--help"]),
        case(
            "list --registry r.json --system-registry",
            nothing,
            1,
            &["--system-registry", "--help"],
        ),
        case(
            "--registry r.json list --system-registry",
            nothing,
            1,
            &["--system-registry", "--help"],
        ),
        case("list r.json", nothing, 1, &["r.json", "--help"]),
        case("watch --ttl -1", nothing, 1, &["--help"]),
        case("prune --ttl soon", nothing, 1, &["soon", "--help"]),
        case("prune --wait=-1", nothing, 1, &["-1", "--help"]),
        case("remove", nothing, 1, &["<ID>", "--help"]),
        case("status r.json --registry r.json", nothing, 1, &["PATH", "--help"]),
        case("status r.json --system-registry", nothing, 1, &["PATH", "--help"]),
        case("status r.json --lock-file l", nothing, 1, &["--lock-file", "--help"]),
        case("status --registry r.json --lock-file l", nothing, 1, &["--lock-file", "--help"]),
        case("run r.json", nothing, 1, &["COMMAND", "--help"]),
        case("run r.json --", nothing, 1, &["COMMAND", "--help"]),
        case("run r.json true", nothing, 1, &["true", "--help"]),
        case("run r.json --registry r.json -- true", nothing, 1, &["PATH", "--help"]),
        case("run r.json --shared --exclusive -- true", nothing, 1, &["--exclusive", "--help"]),
        case(
            "run r.json --shared -- true",
            nothing,
            1,
            &["takes no lock", "--lock-file", "--help"],
        ),
        case("check r.json --system-registry", nothing, 1, &["PATH", "--help"]),
        case("check e.lock", nothing, 1, &["e.lock", "status", "--help"]),
        case("doctor r.json --registry r.json", nothing, 1, &["PATH", "--help"]),
        case("completions cobol", nothing, 1, &["cobol", "--help"]),
        case("man bogus", nothing, 1, &["bogus", "--help"]),
        // 2: registry error
        case("list --registry r.json", corrupt, 2, &["r.json", "next: "]),
        case("list --registry r.json --json", newer_version, 2, &["r.json", "version 2", "next: "]),
        case("list --registry .", nothing, 0, &["does not exist yet"]),
        case("list --registry /", nothing, 2, &["root folder", "next: "]),
        case("watch --registry /", nothing, 2, &["root folder", "next: "]),
        case("prune --registry r.json", corrupt, 2, &["r.json", "next: "]),
        case("prune --registry r.json", newer_version, 2, &["r.json", "next: "]),
        case("prune --registry r.json --wait 0", busy, 2, &["r.json", "process", "busy", "status"]),
        case(
            "prune --registry r.json --wait 0.1",
            busy,
            2,
            &["r.json", "process", "locked after", "status"],
        ),
        case("remove --registry r.json app", corrupt, 2, &["r.json", "next: "]),
        case("remove --registry r.json app --wait 0", busy, 2, &["r.json", "process", "status"]),
        case("status /", nothing, 2, &["next: "]),
        case("status --lock-file .", nothing, 2, &["next: "]),
        case("run r.json -- true", busy, 2, &["r.json", "process", "busy", "status"]),
        case(
            "run r.json --wait 0.1 -- true",
            busy,
            2,
            &["r.json", "process", "locked after", "status"],
        ),
        case("run e.toml -- true", shared_document, 2, &["e.lock", "busy", "status --lock-file"]),
        case(
            "run e.toml --shared -- true",
            busy_document,
            2,
            &["e.lock", "busy", "status --lock-file"],
        ),
        case(
            "run e.lock --wait 0.1 -- true",
            busy_document,
            2,
            &["e.lock", "locked after", "status --lock-file"],
        ),
        case("run --lock-file nowhere/l -- true", nothing, 2, &["nowhere/l", "next: "]),
        case("check r.json", corrupt, 2, &["r.json", "next: "]),
        case("check r.json", newer_version, 2, &["r.json", "version 2", "next: "]),
        case("check r.json --strict", nothing, 2, &["r.json", "does not exist", "next: "]),
        case("check r.json --strict", non_record, 2, &["r.json", "odd", "next: "]),
        case("check r.json --strict", dead, 2, &["r.json", "dead", "next: "]),
        case(
            "check r.json --strict --json",
            stale_lockfile,
            2,
            &["r.json", "left behind", "next: "],
        ),
        case("check e.toml --strict", nothing, 2, &["e.toml", "does not exist", "next: "]),
        case("check e.toml", |folder| exceptions(folder, "["), 2, &["e.toml", "next: "]),
        case(
            "check e.toml",
            |folder| exceptions(folder, "[[exceptions]]\nid = 'a'"),
            2,
            &["e.toml", "reason"],
        ),
        case(
            "check e.toml",
            |folder| {
                folder.put("e.toml", "version = 2");
                None
            },
            2,
            &["e.toml", "version 2"],
        ),
        case(
            "check e.toml --strict",
            |folder| {
                folder.put("e.toml", "");
                None
            },
            2,
            &["e.toml", "version", "next: "],
        ),
        case(
            "check e.toml",
            |folder| exceptions(folder, UNREADABLE_EXPIRY),
            2,
            &["e.toml", "expires_at", "next: "],
        ),
        case("check e.toml", busy_document, 2, &["e.lock", "busy", "status --lock-file"]),
        // An error and an expired entry: 2, not 3.
        case(
            "check e.toml",
            |folder| exceptions(folder, &[EXPIRED_EXCEPTION, UNREADABLE_EXPIRY].concat()),
            2,
            &["e.toml", "next: "],
        ),
        case(
            "check e.toml --strict",
            |folder| {
                exceptions(
                    folder,
                    &VALID_EXCEPTION.replace("'9000-01-01T00:00:00Z'", "9000-01-01T00:00:00Z"),
                )
            },
            2,
            &["e.toml", "expires_at", "not a string", "next: "],
        ),
        case(
            "check e.toml --strict",
            |folder| exceptions(folder, "[[exceptions]]\nid = 'd'\nreason = 'r'\ncreated_at = 7\n"),
            2,
            &["e.toml", "created_at", "not a string", "next: "],
        ),
        case(
            "check e.toml --strict",
            |folder| exceptions(folder, &[VALID_EXCEPTION, VALID_EXCEPTION].concat()),
            2,
            &["e.toml", "id b", "next: "],
        ),
        case("check e.toml", |folder| exceptions(folder, &VALID_EXCEPTION.repeat(2)), 0, &[]),
        case("check r.json --strict", expired_and_dead, 2, &["r.json", "next: "]),
        // 3: expired
        case("check r.json", expired, 3, &["r.json", "expired", "prune"]),
        case("check --registry r.json --strict", expired, 3, &["r.json", "expired", "prune"]),
        case("check r.json", expired_and_dead, 3, &["r.json", "prune"]),
        case(
            "check r.json --ttl 0.000001 --json",
            |folder| {
                folder.registry(&["expired"]);
                None
            },
            3,
            &["r.json", "prune"],
        ),
        case(
            "check e.toml",
            |folder| exceptions(folder, &[VALID_EXCEPTION, EXPIRED_EXCEPTION].concat()),
            3,
            &["e.toml", "2020-01-01", "next: "],
        ),
        // Of `run`: that of its command.
        case("run r.json -- false", nothing, 1, &[]),
        case("run r.json -- no-such-command", nothing, 127, &["no-such-command", "next: "]),
        case("run r.json -- ./r.json", fresh, 126, &["./r.json", "next: "]),
    ]
}

#[test]
fn every_exit_code_of_every_command() {
    for Case { arguments, set_up, code, mentions } in cases() {
        let folder = Folder::new();
        let held = set_up(&folder);
        let outcome = folder.run(arguments);
        assert_eq!(outcome.code, Some(code), "{arguments}: {outcome:?}");
        for text in mentions {
            let stderr = &outcome.stderr;
            assert!(stderr.contains(text), "{arguments}: no {text:?} in {stderr}");
        }
        let is_silent = outcome.stderr.is_empty();
        assert!(code == 0 || !mentions.is_empty() || is_silent, "{arguments}: {outcome:?}");
        drop(held);
    }
}
