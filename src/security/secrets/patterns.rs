//! The table of secrets that show by their form. To add one: a line here, and an example in `tests.rs`, which wants one
//! for every kind.

use super::Severity::{self, Critical, High, Medium};
use super::judge;
use crate::security::redact::ends_with_placeholder;
use regex::Regex;

/// One kind of secret.
pub(super) struct Rule {
    pub(super) kind: &'static str,
    pub(super) severity: Severity,
    /// The literals with which a match begins, in any case; the pattern is anchored at them and decides about case.
    pub(super) starts: &'static [&'static str],
    /// What follows, the literal included. The first group is the secret, else all of it.
    pub(super) pattern: &'static str,
    pub(super) left: Left,
    /// Whether the secret is one, and no example.
    pub(super) accepts: fn(&str) -> bool,
}

impl Rule {
    pub(super) fn compile(&self) -> Option<Regex> {
        Regex::new(&format!("^(?:{})", self.pattern)).ok()
    }
}

/// What may stand before a match.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Not the rest of a word; then the match must end with a word too.
    Word,
    /// A digit.
    Digit,
    /// Anything.
    Any,
}

impl Left {
    pub(super) fn accepts(self, before: &str) -> bool {
        let bytes = before.as_bytes();
        let Some(last) = bytes.last().copied() else { return self != Left::Digit };
        match self {
            Left::Any => true,
            Left::Digit => last.is_ascii_digit(),
            // The letter of an escaped line break is not a part of the word behind it.
            Left::Word if matches!(last, b'n' | b'r' | b't') && bytes.len() > 1 => bytes[bytes.len() - 2] == b'\\',
            Left::Word => !last.is_ascii_alphanumeric() && last != b'_' && !ends_with_placeholder(before),
        }
    }
}

const fn rule(kind: &'static str, severity: Severity, starts: &'static [&'static str], pattern: &'static str) -> Rule {
    Rule { kind, severity, starts, pattern, left: Left::Word, accepts: judge::is_real }
}

const fn anywhere(
    kind: &'static str,
    severity: Severity,
    starts: &'static [&'static str],
    pattern: &'static str,
    accepts: fn(&str) -> bool,
) -> Rule {
    Rule { kind, severity, starts, pattern, left: Left::Any, accepts }
}

/// Sources: the makers' documentation, and the rules of gitleaks 8 where a form is documented nowhere.
pub(super) static RULES: &[Rule] = &[
    // Clouds.
    rule("aws_access_key_id", Critical, &["AKIA", "ASIA", "ABIA", "ACCA"], "(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}"),
    rule("aws_bedrock_key", High, &["ABSK"], "ABSK[A-Za-z0-9+/]{100,260}={0,2}"),
    anywhere(
        "gcp_service_account",
        Critical,
        &["type"],
        r#"type\\*["'][ \t\r\n]{0,4}:[ \t\r\n]{0,4}\\*["'](service_account)\\*["']"#,
        any,
    ),
    rule("google_api_key", High, &["AIza"], "AIza[0-9A-Za-z_-]{35}"),
    rule("google_oauth_token", High, &["ya29."], r"ya29\.[0-9A-Za-z_-]{20,1024}"),
    rule("google_oauth_secret", High, &["GOCSPX-"], "GOCSPX-[0-9A-Za-z_-]{28}"),
    rule("google_refresh_token", High, &["1//0"], "1//0[0-9A-Za-z_-]{40,200}"),
    rule("azure_storage_key", Medium, &["AccountKey="], "(?i-u:AccountKey)=([A-Za-z0-9+/]{84,88}={0,2})"),
    rule("azure_sas_signature", Medium, &["sig="], r"sig=([A-Za-z0-9%]{40,60}(?:%3[Dd]|=))"),
    rule("digitalocean_token", High, &["dop_v1_", "doo_v1_", "dor_v1_"], "do[opr]_v1_[0-9a-f]{64}"),
    rule("cloudflare_origin_ca_key", High, &["v1.0-"], r"v1\.0-[0-9a-f]{24}-[0-9a-f]{146}"),
    rule("cloudflare_api_token", High, &["cfut_", "cfat_", "cfk_"], "(?:cfut|cfat|cfk)_[A-Za-z0-9]{40,64}"),
    rule("fly_token", High, &["FlyV1 fm", "fm1r_", "fm2_"], r"(?:FlyV1 )?fm(?:1r|2)_[A-Za-z0-9+/=_-]{60,2000}"),
    rule("heroku_api_key", High, &["HRKU-"], "HRKU-[0-9A-Za-z_-]{36,80}"),
    // Models.
    rule("anthropic_api_key", High, &["sk-ant-"], "sk-ant-[A-Za-z0-9_-]{20,200}"),
    rule(
        "openai_api_key",
        High,
        &["sk-"],
        "sk-(?:(?:proj|svcacct|admin|service|None)-[A-Za-z0-9_-]{20,300}|[A-Za-z0-9]{20,100})",
    ),
    rule("openrouter_api_key", High, &["sk-or-"], "sk-or-v1-[0-9a-f]{64}"),
    rule("langfuse_secret_key", Medium, &["sk-lf-"], "sk-lf-[0-9a-f-]{36}"),
    rule("hugging_face_token", High, &["hf_", "api_org_"], "(?:hf|api_org)_[A-Za-z0-9]{34,60}"),
    rule("groq_api_key", High, &["gsk_"], "gsk_[A-Za-z0-9]{48,60}"),
    rule("xai_api_key", High, &["xai-"], "xai-[A-Za-z0-9]{70,100}"),
    rule("perplexity_api_key", High, &["pplx-"], "pplx-[A-Za-z0-9]{48,64}"),
    rule("replicate_token", High, &["r8_"], "r8_[A-Za-z0-9]{37}"),
    // Code and packages.
    rule("github_token", High, &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], "gh[pousr]_[A-Za-z0-9]{36,255}"),
    rule("github_fine_grained", Medium, &["github_pat_"], "github_pat_[A-Za-z0-9_]{22,255}"),
    rule(
        "gitlab_token",
        High,
        &["glpat-", "gldt-", "glrt-", "glptt-", "glcbt-", "glft-", "glimt-", "glsoat-", "gloas-", "glagent-"],
        "gl(?:pat|dt|rt|ptt|cbt|ft|imt|soat|oas|agent)-[A-Za-z0-9_.-]{20,300}",
    ),
    rule(
        "bitbucket_token",
        High,
        &["ATBB", "ATATT3", "ATCTT3"],
        "AT(?:BB[A-Za-z0-9]{28,40}|[AC]TT3[A-Za-z0-9_=-]{60,400})",
    ),
    rule("npm_token", High, &["npm_"], "npm_[A-Za-z0-9]{36}"),
    rule("pypi_token", High, &["pypi-"], "pypi-[A-Za-z0-9_-]{60,1000}"),
    rule("rubygems_key", High, &["rubygems_"], "rubygems_[0-9a-f]{48}"),
    rule("crates_io_token", High, &["cio"], "cio[A-Za-z0-9]{32}"),
    rule("docker_token", High, &["dckr_"], "dckr_(?:pat|oat)_[A-Za-z0-9_-]{24,60}"),
    rule("terraform_token", High, &["atlasv1."], r"atlasv1\.[A-Za-z0-9_=-]{60,80}"),
    rule("pulumi_token", High, &["pul-"], "pul-[0-9a-f]{40}"),
    rule("sentry_token", High, &["sntrys_", "sntryu_"], "sntry[su]_[A-Za-z0-9+/=_]{60,300}"),
    rule("postman_api_key", High, &["PMAK-"], "PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    // Talk.
    rule("slack_token", Medium, &["xox"], "xox[abeoprs](?:\\.xox[bp])?-[A-Za-z0-9-]{10,300}"),
    rule("slack_app_token", Medium, &["xapp-"], "xapp-[0-9]-[A-Z0-9]{8,16}-[0-9]{8,16}-[0-9a-f]{30,80}"),
    rule(
        "slack_webhook",
        Medium,
        &["hooks.slack.com/"],
        r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9+/]{20,200})",
    ),
    rule(
        "discord_webhook",
        Medium,
        &["discord.com/api", "discordapp.com/api"],
        r"discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/[0-9]{15,22}/([A-Za-z0-9_-]{50,100})",
    ),
    rule(
        "discord_bot_token",
        High,
        &["MT", "MD", "MJ", "MZ", "ND", "NJ", "NT", "NZ", "OD", "OT"],
        r"[MNO][DTjzJZ][A-Za-z0-9_-]{22,26}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40}",
    ),
    Rule {
        kind: "telegram_bot_token",
        severity: High,
        starts: &[":AA"],
        pattern: ":(AA[A-Za-z0-9_-]{32,34})",
        left: Left::Digit,
        accepts: judge::is_real,
    },
    rule("twilio_api_key", Medium, &["SK"], "SK[0-9a-fA-F]{32}"),
    rule("sendgrid_api_key", Medium, &["SG."], r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    rule("mailgun_key", Medium, &["key-"], "key-[0-9a-f]{32}"),
    // Money and shops.
    rule("stripe_secret_key", High, &["sk_", "rk_"], "[sr]k_(?:live|test|prod)_[A-Za-z0-9]{20,250}"),
    rule("stripe_webhook_secret", Medium, &["whsec_"], "whsec_[A-Za-z0-9+/=]{24,100}"),
    rule("square_token", High, &["sq0"], "sq0(?:atp|csp)-[A-Za-z0-9_-]{22,60}"),
    rule("shopify_token", High, &["shp"], "shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    // Services.
    rule("sessionfs_key", High, &["sk_sfs_"], "sk_sfs_[A-Za-z0-9_-]{16,200}"),
    rule("vault_token", High, &["hvs.", "hvb.", "hvr."], r"hv[sbr]\.[A-Za-z0-9_-]{24,300}"),
    rule("age_secret_key", Critical, &["AGE-SECRET-KEY-1"], "AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"),
    rule("doppler_token", High, &["dp."], r"dp\.(?:pt|ct|st|sa|scim|audit)\.[A-Za-z0-9.]{40,60}"),
    rule("linear_api_key", Medium, &["lin_api_"], "lin_api_[A-Za-z0-9]{40}"),
    rule("notion_token", Medium, &["ntn_", "secret_"], "(?:ntn_[A-Za-z0-9]{46}|secret_[A-Za-z0-9]{43})"),
    rule("figma_token", Medium, &["figd_"], "figd_[A-Za-z0-9_-]{40,60}"),
    rule("airtable_token", Medium, &["pat"], r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}"),
    rule("databricks_token", High, &["dapi"], "dapi[0-9a-f]{32}(?:-[0-9])?"),
    rule(
        "grafana_token",
        Medium,
        &["glsa_", "glc_"],
        "gl(?:sa_[A-Za-z0-9]{32}_[0-9a-fA-F]{8}|c_[A-Za-z0-9+/=]{32,400})",
    ),
    rule("new_relic_key", Medium, &["NRAK-"], "NRAK-[A-Z0-9]{27}"),
    rule("planetscale_token", High, &["pscale_"], r"pscale_(?:tkn|oauth|pw)_[A-Za-z0-9_.=-]{32,64}"),
    rule("supabase_key", High, &["sbp_", "sb_secret_"], "(?:sbp_[0-9a-f]{40}|sb_secret_[A-Za-z0-9_-]{20,60})"),
    rule("tailscale_key", High, &["tskey-"], "tskey-[a-z]{2,16}-[A-Za-z0-9-]{20,80}"),
    rule("one_password_token", High, &["ops_eyJ"], "ops_eyJ[A-Za-z0-9+/=_-]{100,2000}"),
    rule("jfrog_key", High, &["AKCp"], "AKCp[A-Za-z0-9]{60,80}"),
    // Of no single service.
    rule(
        "jwt_token",
        Medium,
        &["eyJ"],
        r"eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{10,1000}",
    ),
    anywhere(
        "bearer_token",
        Medium,
        &["bearer"],
        r"(?i-u:bearer)[ \t\r\n]{1,4}([A-Za-z0-9._~+/=-]{20,1024})",
        judge::is_credential,
    ),
    anywhere(
        "authorization_header",
        Medium,
        &["authorization"],
        r#"(?i-u:authorization)\\*["']?[ \t\r\n]{0,4}[:=][ \t\r\n]{0,4}\\*["']?(?:(?i-u:basic|token|apikey|digest|negotiate|bot|key)[ \t\r\n]{1,4})?([A-Za-z0-9._~+/=-]{12,1024})"#,
        judge::is_credential,
    ),
    anywhere(
        "database_url",
        High,
        &[
            "postgres",
            "mysql",
            "mariadb",
            "mongodb",
            "redis",
            "amqp",
            "mssql",
            "sqlserver",
            "clickhouse",
            "cockroachdb",
        ],
        r#"[a-z]{4,11}(?:\+[a-z0-9]{2,12})?://[^ \t\r\n:/?#@"'`<>\\]{0,128}:([^ \t\r\n/?#@"'`<>\\]{1,256})@"#,
        judge::is_url_password,
    ),
    anywhere(
        "url_credentials",
        Medium,
        &["://"],
        r#"://[^ \t\r\n:/?#@"'`<>\\]{0,128}:([^ \t\r\n/?#@"'`<>\\]{3,256})@[A-Za-z0-9\[]"#,
        judge::is_url_password,
    ),
    anywhere(
        "netrc_password",
        High,
        &["machine", "default login"],
        r#"(?:machine[ \t\r\n]{1,8}[^ \t\r\n]{1,256}|default)[ \t\r\n]{1,32}login[ \t\r\n]{1,8}[^ \t\r\n]{1,256}[ \t\r\n]{1,32}password[ \t\r\n]{1,8}([^ \t\r\n\\"'`]{4,256})"#,
        judge::is_password,
    ),
    rule("curl_password", Medium, &["-u "], r#"-u \\*["']?[^ \t\r\n:"'\\/]{1,64}:([^ \t\r\n"'\\@/]{8,128})"#),
];

fn any(_: &str) -> bool {
    true
}
