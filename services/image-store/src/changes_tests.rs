use super::*;
use proptest::prelude::*;

fn changed(config: ImageConfig, changes: &[&str]) -> Result<ImageConfig, String> {
    let mut config = config;
    let changes: Vec<String> = changes.iter().map(|change| (*change).to_owned()).collect();
    apply(&mut config, &changes).map(|()| config).map_err(|failure| failure.message)
}

fn made(changes: &[&str]) -> ImageConfig {
    changed(ImageConfig::default(), changes).unwrap()
}

fn base() -> ImageConfig {
    ImageConfig {
        environment: vec!["PATH=/bin".to_owned(), "EMPTY=".to_owned()],
        command: vec!["old".to_owned()],
        working_directory: "/srv/app".to_owned(),
        ..ImageConfig::default()
    }
}

#[test]
fn commands_are_json_or_lines_for_the_shell() {
    assert_eq!(made(&[r#"CMD ["a", "b c"]"#]).command, ["a", "b c"]);
    assert_eq!(made(&["cmd echo $HOME 'x y'"]).command, ["/bin/sh", "-c", "echo $HOME 'x y'"]);
    assert_eq!(made(&["CMD [not json"]).command, ["/bin/sh", "-c", "[not json"]);
    assert!(made(&["CMD []"]).command.is_empty());
    assert_eq!(made(&[r#"  EntryPoint   ["/x"]  "#]).entrypoint, ["/x"]);
}

#[test]
fn an_entrypoint_resets_the_command_of_the_image_below() {
    assert!(changed(base(), &["ENTRYPOINT /x"]).unwrap().command.is_empty());
    assert_eq!(changed(base(), &[r#"CMD ["new"]"#, "ENTRYPOINT /x"]).unwrap().command, ["new"]);
}

#[test]
fn variables_are_set_in_place_and_replaced() {
    let env = |change: &str| changed(base(), &[change]).unwrap().environment;
    assert_eq!(env("ENV PATH=$PATH:/opt NEW='a b'"), ["PATH=/bin:/opt", "EMPTY=", "NEW=a b"]);
    assert_eq!(env("ENV NEW some words \"quoted\"")[2], "NEW=some words quoted");
    assert_eq!(env("ENV a=${EMPTY:-x}${NONE:-y}${PATH:+z}${EMPTY:+no}")[2], "a=xyz");
    assert_eq!(
        env(r#"ENV a="x\"\$PATH\n" b=\$PATH c='$PATH' d=$"#)[2..],
        ["a=x\"$PATH\\n", "b=$PATH", "c=$PATH", "d=$"]
    );
    assert_eq!(env("ENV a=")[2], "a=");
    assert_eq!(made(&["LABEL b=2 a=\"1 1\"", "LABEL b=3"]).labels, ["a=1 1", "b=3"]);
}

#[test]
fn ports_volumes_users_directories_and_signals() {
    assert_eq!(
        made(&["EXPOSE 80 53/UDP", "EXPOSE 80/tcp 8000-8001"]).exposed_ports,
        ["53/udp", "80/tcp", "8000/tcp", "8001/tcp"]
    );
    assert_eq!(made(&[r#"VOLUME ["/a b"]"#, "VOLUME /c /d"]).volumes, ["/a b", "/c", "/d"]);
    assert_eq!(made(&["USER 1000:1000"]).user, "1000:1000");
    let at = |change: &str| changed(base(), &[change]).unwrap().working_directory;
    assert_eq!(
        (at("WORKDIR sub/../x"), at("WORKDIR /"), at("WORKDIR ../../..")),
        ("/srv/app/x".into(), "/".into(), "/".into())
    );
    for (given, kept) in [("term", "SIGTERM"), ("SIGINT", "SIGINT"), ("9", "9"), ("RTMIN+3", "SIGRTMIN+3")] {
        assert_eq!(made(&[&format!("STOPSIGNAL {given}")]).stop_signal, kept);
    }
}

#[test]
fn what_is_no_instruction_is_refused_by_name() {
    for (change, reason) in [
        ("RUN make", "\"RUN\" cannot be changed"),
        ("ONBUILD RUN x", "cannot be changed"),
        ("", "cannot be changed"),
        ("and x", "cannot be changed"),
        ("CMD", "nothing follows"),
        ("CMD a\nUSER b", "one line"),
        ("ENV KEY", "KEY=value"),
        ("ENV =x", "key is empty"),
        ("ENV a=b c", "\"c\" is not KEY=value"),
        ("ENV a='b", "not closed"),
        ("ENV a=\"b", "not closed"),
        ("ENV a=b\\", "backslash"),
        ("ENV a=${b", "not closed"),
        ("ENV a=${b?c}", "are known"),
        ("EXPOSE x", "not a port"),
        ("EXPOSE 0", "not a port"),
        ("EXPOSE 70000", "not a port"),
        ("EXPOSE 5-4", "not a range"),
        ("EXPOSE 1-65535", "not a range"),
        ("EXPOSE 80/icmp", "not a protocol"),
        ("USER a b", "exactly one word"),
        ("VOLUME [\"\"]", "needs a path"),
        ("STOPSIGNAL SIGNOPE", "not a signal"),
        ("STOPSIGNAL 65", "not a signal"),
    ] {
        let message = changed(ImageConfig::default(), &[change]).unwrap_err();
        assert!(message.contains(reason) && message.starts_with("change \""), "{change:?}: {message}");
    }
}

proptest! {
    #[test]
    fn no_text_does_harm(text in ".{0,80}", name in "(CMD|ENTRYPOINT|ENV|EXPOSE|LABEL|USER|VOLUME|WORKDIR|STOPSIGNAL) ") {
        let line = format!("{name}{text}");
        if let Ok(config) = changed(base(), &[&line]) {
            prop_assert!(config.working_directory.starts_with('/'));
            prop_assert!(config.environment.iter().chain(&config.labels).all(|pair| pair.contains('=')));
            prop_assert!(config.exposed_ports.iter().all(|port| port.contains('/')));
        }
    }

    #[test]
    fn quoted_values_come_out_as_they_went_in(value in "[ -~]{0,40}") {
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
        let config = made(&[&format!("ENV KEY=\"{quoted}\"")]);
        prop_assert_eq!(&config.environment[0], &format!("KEY={value}"));
    }

    #[test]
    fn words_of_a_json_array_come_out_as_they_went_in(words in proptest::collection::vec("[ -~]{0,10}", 0..5)) {
        let line = format!("CMD {}", serde_json::to_string(&words).unwrap());
        prop_assert_eq!(made(&[&line]).command, words);
    }
}
