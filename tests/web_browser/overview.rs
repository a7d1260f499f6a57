//! Charts, and the figures behind them.

use super::{recorded, with_browser};

#[test]
fn an_axis_ends_at_the_next_round_number() {
    with_browser("an_axis_ends_at_the_next_round_number", |browser| {
        let web = recorded(browser);
        let top = |value: f64, is_whole: bool| {
            browser.run_async(&format!(
                "import('/assets/js/charts.js').then(({{ days }}) => {{
                   const measure = {{ label: 'x', of: ({{ n }}) => n, text: String, isWhole: {is_whole} }};
                   const chart = days({{ label: 'x', measure, days: [{{ date: '2026-01-01', n: {value} }}, {{ date: '2026-01-02', n: 0 }}] }});
                   const tops = [...chart.querySelectorAll('.rule')].map((rule) => Number(rule.getAttribute('y1')));
                   const column = chart.querySelector('.column').getAttribute('y');
                   done([Number([...chart.querySelectorAll('.scale')].map((text) => text.textContent)[tops.length - 1]), Number(column) >= Math.min(...tops) - 0.01]);
                 }})"
            ))
        };
        for (value, is_whole, expected) in [
            (200_000.0, false, 200_000.0),
            (200_001.0, false, 250_000.0),
            (310_000.0, false, 400_000.0),
            (1.01, false, 1.2),
            (999.0, false, 1000.0),
            (1.0, true, 1.0),
            (11.0, true, 12.0),
            (7.0, true, 8.0),
        ] {
            let shown = top(value, is_whole);
            assert!((shown[0].as_f64().unwrap() - expected).abs() < 1e-9 && shown[1] == true, "{value}: {shown}");
        }
        web
    });
}

#[test]
fn charts_have_names_figures_and_a_table() {
    with_browser("charts_have_names_figures_and_a_table", |browser| {
        let web = recorded(browser);
        browser.open(&web.page("/overview?days=365"));
        browser.wait_for("svg.heat");
        let tools = browser.run("return [...document.querySelectorAll('.bars')].find((list) => list.getAttribute('aria-label').includes('tool')).innerText");
        for tool in ["claude-code", "codex", "gemini", "cursor"] {
            assert!(
                tools.as_str().unwrap().to_lowercase().contains(tool.split('-').next().unwrap()),
                "{tool}: {tools}"
            );
        }
        let names: Vec<String> = browser
            .accessible()
            .into_iter()
            .filter(|(role, _)| role == "img" || role == "image")
            .map(|(_, name)| name)
            .collect();
        assert!(
            names.iter().any(|name| name.starts_with("Sessions per day. ") && name.contains("active day")),
            "{names:?}"
        );
        assert!(names.iter().any(|name| name.starts_with("Sessions on each day of the last year.")), "{names:?}");
        assert_eq!(browser.count("svg.heat rect"), 371);
        browser.press("As a table");
        browser.wait("document.querySelector('.figures-table[open] tbody tr') !== null");

        browser.press("Tokens");
        browser.wait_for_text("Tokens per day");
        assert!(browser.address().ends_with("by=tokens&days=365"));
        let drawn = browser.run("return [...document.querySelectorAll('.chart .column')].some((column) => Number(column.getAttribute('height')) > 10)");
        assert_eq!(drawn, true);
        browser.press("30 days");
        browser.wait("document.querySelectorAll('.chart .column').length === 30");
        web
    });
}
