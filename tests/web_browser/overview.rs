//! Charts, and the figures behind them.

use super::{recorded, with_browser};

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
