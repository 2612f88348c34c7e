//! Processes of a container, in columns as of ps.

use super::table::Table;
use jiff::Timestamp;
use schema::Failure;
use schema::executor::Process;

const DAY: i64 = 86_400_000_000_000;

/// A column: its heading, and the cell of a process at a time.
pub(crate) struct Column {
    heading: &'static str,
    cell: fn(&Process, i64) -> String,
}

/// Names of columns as `ps -o` has them.
fn column(name: &str) -> Option<Column> {
    let (heading, cell): (_, fn(&Process, i64) -> String) = match name {
        "user" | "uname" => ("USER", |process, _| process.user.clone()),
        "uid" | "euid" => ("UID", |process, _| process.uid.to_string()),
        "pid" => ("PID", |process, _| process.pid.to_string()),
        "ppid" => ("PPID", |process, _| process.parent.to_string()),
        "pcpu" | "%cpu" => ("%CPU", |process, _| format!("{:.1}", f64::from(process.cpu_permille) / 10.0)),
        "c" => ("C", |process, _| (process.cpu_permille / 10).to_string()),
        "rss" => ("RSS", |process, _| (process.memory / 1024).to_string()),
        "tty" | "tt" => ("TTY", |process, _| process.terminal.clone()),
        "stat" | "s" => ("STAT", |process, _| process.state.clone()),
        "stime" | "start" => ("STIME", |process, now| started(process.started_at, now)),
        "time" | "cputime" => ("TIME", |process, _| cpu_time(process.cpu_ns)),
        "args" | "cmd" | "command" => ("CMD", |process, _| process.command.clone()),
        "comm" => ("COMMAND", |process, _| process.command.split(' ').next().unwrap_or_default().to_owned()),
        _ => return None,
    };
    Some(Column { heading, cell })
}

/// The columns that options of ps ask for: none, `-ef`, `aux`, `-o a,b`, `-eo a,b`. Fails with `invalidArgument`.
pub(crate) fn columns(options: &[String]) -> Result<Vec<Column>, Failure> {
    let words: Vec<&str> = options.iter().map(String::as_str).collect();
    let names = match words[..] {
        [] | ["-ef" | "-f" | "ef"] => return Ok(full()),
        ["aux" | "-aux" | "au" | "u"] => "user,pid,pcpu,rss,tty,stat,stime,time,args".to_owned(),
        ["-o" | "-eo" | "o" | "eo", ref names @ ..] if !names.is_empty() => names.join(","),
        [one] if one.starts_with("-o") => one[2..].to_owned(),
        [one] if one.starts_with("-eo") => one[3..].to_owned(),
        _ => {
            return Err(Failure::invalid(format_args!("unknown options of ps: {}", options.join(" ")))
                .hint("there are -ef, aux, and -o with a list of columns"));
        }
    };
    let one = |name: &str| {
        column(name.trim()).ok_or_else(|| {
            Failure::invalid(format_args!("unknown column {name:?}"))
                .hint("there are user, uid, pid, ppid, pcpu, rss, tty, stat, stime, time, args, comm")
        })
    };
    names.split(',').filter(|name| !name.is_empty()).map(one).collect()
}

/// Those of `ps -ef`, whose first one shows names.
fn full() -> Vec<Column> {
    let mut columns: Vec<Column> =
        ["pid", "ppid", "c", "stime", "tty", "time", "args"].into_iter().filter_map(column).collect();
    columns.insert(0, Column { heading: "UID", cell: |process, _| process.user.clone() });
    columns
}

/// The processes.
pub(crate) fn table(columns: &[Column], processes: &[Process], now: i64) -> String {
    let mut table = Table::new(&columns.iter().map(|column| column.heading).collect::<Vec<_>>());
    for process in processes {
        table.row(columns.iter().map(|column| (column.cell)(process, now)));
    }
    table.render()
}

/// `15:04` of today, `Jan02` else, in the caller's time zone.
fn started(at: i64, now: i64) -> String {
    let time = Timestamp::from_nanosecond(at.into()).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(crate::zone::zone());
    time.strftime(if now.saturating_sub(at) < DAY { "%H:%M" } else { "%b%d" }).to_string()
}

/// `00:01:02`
fn cpu_time(nanoseconds: u64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process() -> Process {
        Process {
            pid: 42,
            parent: 1,
            uid: 0,
            user: "root".into(),
            cpu_ns: 62_000_000_000,
            started_at: 0,
            terminal: "?".into(),
            command: "sleep 600".into(),
            state: "S".into(),
            memory: 2 << 20,
            cpu_permille: 123,
        }
    }

    fn shown(options: &[&str]) -> Vec<Vec<String>> {
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let text = table(&columns(&options).unwrap(), &[process()], 2 * DAY);
        text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    }

    #[test]
    fn usual_columns_and_chosen_ones() {
        let full = shown(&[]);
        assert_eq!(full[0], ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]);
        assert_eq!(full[1], ["root", "42", "1", "12", &full[1][4], "?", "00:01:02", "sleep", "600"]);
        assert_eq!(shown(&["aux"])[0][..3], ["USER", "PID", "%CPU"]);
        assert_eq!(shown(&["-o", "pid,rss,pcpu"])[1], ["42", "2048", "12.3"]);
        assert_eq!(shown(&["-eopid,args"])[1], ["42", "sleep", "600"]);
        assert!(columns(&["-o".into(), "color".into()]).is_err());
        assert!(columns(&["-Z".into()]).is_err());
    }
}
