//! Small schedules with their commands, as golden files: what waits for what can be read off.
//!
//! `BLESS=1` rewrites them.

use super::super::{KeepPages, Strategy, emit_commands, repeat};
use super::{Case, StepShape, case, checked};
use flashmem_plan_format::plan::Command;
use std::fmt::Write as _;

/// A command in a word.
fn command(command: &Command) -> String {
    match command {
        Command::Load { page, slot } => format!("load {}>{}", page.0, slot.0),
        Command::Drop { page } => format!("drop {}", page.0),
        Command::Dispatch { index } => format!("STEP {index}"),
        Command::Submit => "submit".to_owned(),
    }
}

/// A list of commands, a line up to each submit.
fn commands(list: &[Command]) -> String {
    let words = list.iter().map(|c| if matches!(c, Command::Submit) { "submit\n".to_owned() } else { command(c) });
    words.collect::<Vec<_>>().join(" ").replace("\n ", "\n")
}

fn text(case: &Case, strategy: Strategy) -> String {
    let mut text = String::new();
    let schedule = checked(case, strategy);
    let report = &schedule.report;
    writeln!(
        text,
        "{strategy:?}: ends at {:.1} µs, at least {:.1}, {} slots, {:?}",
        schedule.finish_us, report.lower_bound_us, schedule.peak_pages, report.status
    )
    .expect("writing to a string");
    let steps = schedule.step_start_us.iter().zip(&schedule.uploads_before_step).zip(&case.step_pages);
    for (step, ((start_us, uploads), pages)) in steps.enumerate() {
        let pages = pages.as_ref().map_or_else(|| "none".to_owned(), |pages| format!("{}..{}", pages.start, pages.end));
        writeln!(text, "step {step} at {start_us:.1} µs, pages {pages}, {uploads} uploaded before")
            .expect("writing to a string");
    }
    let stream = emit_commands(&case.problem, &schedule, &case.step_pages);
    text + &commands(&stream.commands)
}

#[test]
fn small_schedules_are_those_of_the_golden_file() {
    // (time, pages that it hides, new pages, pages shared with what came before)
    let pageless = [[(15, 1, 1, 0)].as_slice(), &[(5, 1, 0, 0); 23]].concat();
    let problems: [(&str, &[StepShape], u32, u32); 5] = [
        ("compute hides the disk", &[(40, 2, 1, 0), (40, 2, 1, 0), (40, 2, 1, 0)], 2, 4),
        ("the disk is the bottleneck", &[(5, 1, 2, 0), (5, 1, 2, 0), (5, 1, 2, 0)], 2, 4),
        ("nothing can be hidden", &[(20, 0, 1, 0), (20, 0, 2, 0), (20, 0, 1, 0)], 2, 4),
        (
            "a page for two steps, and a step without any",
            &[(15, 1, 2, 0), (15, 1, 1, 1), (15, 1, 0, 0), (15, 1, 1, 0)],
            1,
            3,
        ),
        ("many steps without pages", &pageless, 1, 2),
    ];
    let mut all = String::new();
    for (what, steps, staging, slots) in problems {
        let mut case = case(steps, 10.0, 2.0, staging);
        case.problem.slot_cap = slots;
        for strategy in [Strategy::Optimal, Strategy::OnDemand] {
            writeln!(all, "# {what}\n{}", text(&case, strategy)).expect("writing to a string");
        }
    }
    crate::blessed::check("schedules.txt", &all);
}

#[test]
fn later_runs_of_a_small_schedule_are_those_of_the_golden_file() {
    let case = case(&[(40, 2, 2, 0), (40, 2, 2, 0), (40, 2, 2, 0)], 10.0, 2.0, 2);
    let first = checked(&case, Strategy::Optimal);
    let lists = repeat(&case.problem, &first, &case.step_pages, 5, KeepPages::Best).expect("no violation");
    let lists = lists.expect("pages stay");
    let text = format!(
        "kept {}, ahead {}, later runs take {:.1} µs\n# first run\n{}\n# later runs\n{}",
        lists.kept,
        lists.ahead,
        lists.warm_us,
        commands(&lists.first),
        commands(&lists.repeat)
    );
    crate::blessed::check("later_runs.txt", &text);
}
