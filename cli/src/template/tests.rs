use super::*;
use proptest::prelude::*;
use serde_json::json;

fn data() -> Data {
    let root = json!({
        "ID": "abc", "Names": "web", "Size": 1_048_576, "Load": 1.5, "Running": true, "Nothing": null,
        "State": {"Status": "running", "Pid": 42},
        "Args": ["a", "b", "c"], "Empty": [],
        "Labels": {"com.x": "1", "role": "db"},
        "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]},
    });
    let labels = BTreeMap::from([("role".to_owned(), "db".to_owned())]);
    Data { root, methods: BTreeMap::from([("Label", labels)]) }
}

fn render(source: &str) -> Result<String, String> {
    Template::parse(source)?.render(&data())
}

/// As text/template answers with Docker's functions.
#[test]
fn go_s_answers() {
    for (source, expected) in [
        ("plain", "plain"),
        ("{{.ID}} {{.Names}}", "abc web"),
        ("{{ .State.Status }}", "running"),
        ("{{json .State}}", r#"{"Pid":42,"Status":"running"}"#),
        ("{{.State | json}}", r#"{"Pid":42,"Status":"running"}"#),
        ("{{.Args}} {{.Labels}}", "[a b c] map[com.x:1 role:db]"),
        ("{{range .Args}}<{{.}}>{{end}}", "<a><b><c>"),
        ("{{range $i, $x := .Args}}{{$i}}={{$x}} {{end}}", "0=a 1=b 2=c "),
        ("{{range $key, $value := .Labels}}{{$key}}:{{$value}};{{end}}", "com.x:1;role:db;"),
        ("{{range .Empty}}x{{else}}none{{end}}", "none"),
        ("{{range .Args}}{{if eq . \"b\"}}{{continue}}{{end}}{{.}}{{end}}", "ac"),
        ("{{range .Args}}{{.}}{{break}}{{end}}", "a"),
        ("{{range 3}}{{.}}{{end}}", "012"),
        ("{{if .Running}}up{{else}}down{{end}}", "up"),
        ("{{if .Nothing}}a{{else if .Size}}b{{else}}c{{end}}", "b"),
        ("{{with .State}}{{.Pid}}{{$.ID}}{{end}}", "42abc"),
        ("{{with $s := .State}}{{$s.Pid}}{{end}}", "42"),
        ("{{with .Nothing}}a{{else with .ID}}{{.}}{{end}}", "abc"),
        ("{{index .Args 1}} {{index .Labels \"com.x\"}}{{index .Labels \"nope\"}}", "b 1"),
        ("{{(index (index .Ports \"80/tcp\") 0).HostPort}}", "8080"),
        ("{{range $p, $conf := .Ports}} {{$p}} -> {{(index $conf 0).HostPort}} {{end}}", " 80/tcp -> 8080 "),
        ("{{len .Args}} {{len .ID}}", "3 3"),
        ("{{join .Args \", \"}}", "a, b, c"),
        ("{{split \"a:b\" \":\"}}", "[a b]"),
        ("{{upper .ID}} {{lower \"ABC\"}} {{title \"ab cd\"}}", "ABC abc Ab Cd"),
        ("{{pad .ID 1 2}}|{{truncate .ID 2}}|{{slice .ID 1 2}}", " abc  |ab|b"),
        ("{{println .ID 1}}", "abc 1\n"),
        ("{{print 1 2 \"x\" 3}}", "1 2x3"),
        (
            "{{printf \"%s-%5d|%-5s|%05.1f|%q|%v|%t|%x\" .ID 42 \"x\" .Load .ID .Args true 255}}",
            "abc-   42|x    |001.5|\"abc\"|[a b c]|true|ff",
        ),
        ("{{printf \"%d %s\" .ID}}", "%!d(string=abc) %!s(MISSING)"),
        (
            "{{eq .ID \"abc\"}} {{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt 1 2}} {{ge \"b\" \"a\"}} {{eq .ID \"x\" \"abc\"}}",
            "true true true true false true true",
        ),
        ("{{and .Running .ID}} {{or .Nothing \"x\"}} {{not .Running}}", "abc x false"),
        ("{{and false (index .Empty 5)}}", "false"),
        ("a {{- /* nothing */ -}} b", "ab"),
        ("{{/* nothing */}}x", "x"),
        ("a\n  {{- .ID -}}  \nb", "aabcb"),
        ("{{3}} {{-3}} {{0x10}} {{1.5}} {{'a'}} {{true}} {{`raw\\n`}}", "3 -3 16 1.5 97 true raw\\n"),
        ("{{\"\\u00e9\\t\\\"\"}}", "é\t\""),
        ("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"),
        ("{{$x := 1}}{{if true}}{{$x := 2}}{{end}}{{$x}}", "1"),
        ("{{.Nothing}}", "<no value>"),
        ("{{.Labels.nope}}", "<no value>"),
        ("{{.Label \"role\"}}|{{.Label \"nope\"}}", "db|"),
        ("{{.Size}} {{.Load}}", "1048576 1.5"),
    ] {
        assert_eq!(render(source).as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn errors_name_their_place() {
    for (source, place) in [
        ("{{.ID", "template 1:1: unclosed action"),
        ("x\n {{.Nope}}", "template 2:4: there is no field \"Nope\""),
        ("{{.Nothing.X}}", "template 1:3: nil has no field \"X\""),
        ("{{.ID.X}}", "template 1:3: can't evaluate field X in type string"),
        ("{{frob .}}", "template 1:3: function \"frob\" not defined"),
        ("{{if .ID}}", "template 1:3: {{if}} without {{end}}"),
        ("{{end}}", "template 1:1: unexpected {{end}}"),
        ("{{else}}", "template 1:1: unexpected {{else}}"),
        ("{{range .ID}}{{end}}", "template 1:9: range can't iterate over"),
        ("{{index .Args 9}}", "template 1:3: error calling index: index out of range: 9"),
        ("{{$x}}", "template 1:3: undefined variable"),
        ("{{lt 1 \"a\"}}", "template 1:3: error calling lt: incompatible types"),
        ("{{\"abc}}", "template 1:3: unterminated quoted string"),
        ("{{/* x}}", "template 1:1: unclosed comment"),
        ("{{}}", "template 1:3: missing value for command"),
        ("{{.ID | .Names}}", "template 1:9: only a function can take"),
        ("{{break}}", "template 1:3: {{break}} outside {{range}}"),
        ("{{template \"x\"}}", "template 1:3: {{template}} is not supported"),
        ("{{ . ! }}", "template 1:6: unexpected character '!'"),
        ("{{.Names \"x\"}}", "template 1:3: Names is not a method"),
        ("{{(1}}", "template 1:3: unclosed left paren"),
        ("{{printf \"%2000d\" 1}}", "template 1:3: error calling printf: a width"),
        ("{{1 2}}", "template 1:3: a constant takes no arguments"),
        ("{{range 999999999}}{{end}}", "template 1:9: this takes too many steps"),
    ] {
        let error = render(source).expect_err(source);
        assert!(error.starts_with(place), "{source}: {error}");
    }
}

#[test]
fn hostile_templates_are_bounded() {
    assert!(Template::parse(&"(".repeat(LONGEST + 1)).is_err());
    for source in [
        format!("{{{{{}1{}}}}}", "(".repeat(5000), ")".repeat(5000)),
        "{{if 1}}".repeat(5000),
        "{{range 9}}".repeat(50) + &"{{end}}".repeat(50),
        "{{$x := \"0123456789\"}}{{range 1000}}{{$x = print $x $x}}{{end}}".to_owned(),
        format!("{{{{range 900000}}}}{}{{{{end}}}}", "x".repeat(1000)),
    ] {
        let error = render(&source).expect_err("it has no bounds");
        assert!(error.starts_with("template ") && error.len() < 200, "{error}");
    }
}

proptest! {
    #[test]
    fn any_text_is_answered(source in "\\PC{0,60}") {
        let _ = render(&source);
    }

    #[test]
    fn any_action_is_answered(
        parts in proptest::collection::vec(proptest::sample::select(vec![
            "{{", "}}", "{{-", "-}}", " ", "if", "else", "end", "range", "with", "$x", "$", ":=", "=", ",", "|", "(", ")", ".",
            ".ID", ".Args", ".State", "index", "printf", "len", "json", "\"%d\"", "\"", "`", "'", "1", "-1", "1.5", "0x", "nil", "true",
            "and", "/*", "*/", "break", "continue", "slice", "pad", "é", "\\",
        ]), 0..25)
    ) {
        let _ = render(&parts.concat());
        let _ = render(&format!("{{{{{}}}}}", parts.join(" ")));
    }

    #[test]
    fn any_format_is_answered(format in "[%a-z0-9.+# -]{0,12}") {
        let source = format!("{{{{printf {format:?} .ID .Size .Load .Args .Nothing}}}}");
        prop_assert!(render(&source).is_ok() || render(&source).is_err_and(|error| error.contains("width")));
    }

    #[test]
    fn text_without_actions_is_itself(source in "[^{]{0,40}") {
        prop_assert_eq!(render(&source), Ok(source));
    }
}
