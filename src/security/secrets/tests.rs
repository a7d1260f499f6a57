//! No example of a secret stands here as it is: other people's scanners would find it. `<h32>` is filled in with 32
//! random hexadecimal digits.

use super::*;

/// Fills in `<CLASSn>`.
pub(in crate::security) fn made(template: &str) -> String {
    let mut seed: u32 = template.bytes().fold(7, |seed, b| seed.wrapping_mul(31).wrapping_add(u32::from(b)));
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('<') {
        let (class, tail) = after.split_once('>').unwrap();
        let alphabet: &[u8] = match &class[..1] {
            "h" => b"0123456789abcdef",
            "d" => b"1234567890",
            "U" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
            "B" => b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
            "a" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            "b" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
            other => panic!("{other}"),
        };
        out.push_str(before);
        for _ in 0..class[1..].parse::<usize>().unwrap() {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            out.push(char::from(alphabet[(seed >> 16) as usize % alphabet.len()]));
        }
        rest = tail;
    }
    out + rest
}

/// One example for each kind, as (kind, text, what of the text is the secret; empty: all of it).
pub(in crate::security) const EXAMPLES: &[(&str, &str, &str)] = &[
    ("aws_access_key_id", "AKIA<U16>", ""),
    ("aws_access_key_id", r"key:\nASIA<U16>\n", "ASIA<U16>"),
    ("aws_bedrock_key", "ABSK<a110>=", ""),
    ("gcp_service_account", r#"{"type": "service_account", "project_id": "p"}"#, "service_account"),
    ("gcp_service_account", r#"{\"type\":\"service_account\"}"#, "service_account"),
    ("google_api_key", "AIza<a35>", ""),
    ("google_oauth_token", "ya29.<a60>", ""),
    ("google_oauth_secret", "GOCSPX-<a28>", ""),
    ("google_refresh_token", "1//0<a50>", ""),
    ("azure_storage_key", "AccountName=a;AccountKey=<a86>==;EndpointSuffix=b", ""),
    ("azure_sas_signature", "?sv=2024&sig=<a43>%3D", ""),
    ("digitalocean_token", "dop_v1_<h64>", ""),
    ("cloudflare_origin_ca_key", "v1.0-<h24>-<h146>", ""),
    ("cloudflare_api_token", "cfut_<a40>", ""),
    ("fly_token", "FlyV1 fm2_<b80>", ""),
    ("heroku_api_key", "HRKU-<a40>", ""),
    ("anthropic_api_key", "sk-ant-api03-<a93>AA", ""),
    ("openai_api_key", "sk-<a48>", ""),
    ("openai_api_key", "sk-proj-<a64>_<a40>-<a40>", ""),
    ("openai_api_key", "sk-svcacct-<a64>", ""),
    ("openrouter_api_key", "sk-or-v1-<h64>", ""),
    ("langfuse_secret_key", "sk-lf-<h8>-<h4>-<h4>-<h4>-<h12>", ""),
    ("hugging_face_token", "hf_<a34>", ""),
    ("groq_api_key", "gsk_<a52>", ""),
    ("xai_api_key", "xai-<a80>", ""),
    ("perplexity_api_key", "pplx-<a48>", ""),
    ("replicate_token", "r8_<a37>", ""),
    ("github_token", "ghp_<a36>", ""),
    ("github_token", "git push https://ghs_<a36>@github.com/a/b", "ghs_<a36>"),
    ("github_fine_grained", "github_pat_<a22>_<a59>", ""),
    ("gitlab_token", "glpat-<a20>", ""),
    ("bitbucket_token", "ATATT3<a180>=<U8>", ""),
    ("npm_token", "//registry.npmjs.org/:_authToken=npm_<a36>", "npm_<a36>"),
    ("pypi_token", "pypi-AgEIcHlwaS5vcmc<a120>", ""),
    ("rubygems_key", "rubygems_<h48>", ""),
    ("crates_io_token", "cio<a32>", ""),
    ("docker_token", "dckr_pat_<a27>", ""),
    ("terraform_token", "<a14>.atlasv1.<a64>", "atlasv1.<a64>"),
    ("pulumi_token", "pul-<h40>", ""),
    ("sentry_token", "sntryu_<h64>", ""),
    ("postman_api_key", "PMAK-<h24>-<h34>", ""),
    ("slack_token", "xoxb-<d12>-<d12>-<a24>", ""),
    ("slack_app_token", "xapp-1-A<U9>-<d12>-<h64>", ""),
    ("slack_webhook", "https://hooks.slack.com/services/T<U8>/B<U8>/<a24>", "T<U8>/B<U8>/<a24>"),
    ("discord_webhook", "https://discord.com/api/webhooks/<d18>/<a68>", "<a68>"),
    ("discord_bot_token", "MTA<a23>.<a6>.<a38>", ""),
    ("telegram_bot_token", "<d10>:AA<a33>", "AA<a33>"),
    ("twilio_api_key", "SK<h32>", ""),
    ("sendgrid_api_key", "SG.<a22>.<a43>", ""),
    ("mailgun_key", "key-<h32>", ""),
    ("stripe_secret_key", "sk_live_<a24>", ""),
    ("stripe_secret_key", "rk_test_<a99>", ""),
    ("stripe_webhook_secret", "whsec_<a32>", ""),
    ("square_token", "sq0atp-<a22>", ""),
    ("shopify_token", "shpat_<h32>", ""),
    ("sessionfs_key", "sk_sfs_<h40>", ""),
    ("vault_token", "hvs.<a90>", ""),
    ("age_secret_key", "AGE-SECRET-KEY-1<B58>", ""),
    ("doppler_token", "dp.pt.<a43>", ""),
    ("linear_api_key", "lin_api_<a40>", ""),
    ("notion_token", "ntn_<a46>", ""),
    ("figma_token", "figd_<a40>", ""),
    ("airtable_token", "pat<a14>.<h64>", ""),
    ("databricks_token", "dapi<h32>", ""),
    ("grafana_token", "glsa_<a32>_<h8>", ""),
    ("new_relic_key", "NRAK-<U27>", ""),
    ("planetscale_token", "pscale_tkn_<a43>", ""),
    ("supabase_key", "sbp_<h40>", ""),
    ("tailscale_key", "tskey-auth-<a17>-<a32>", ""),
    ("one_password_token", "ops_eyJ<a200>", ""),
    ("jfrog_key", "AKCp<a69>", ""),
    ("jwt_token", "eyJ<a33>.eyJ<a60>.<a43>", ""),
    ("bearer_token", "curl -H 'x: y' bearer <a40>", "<a40>"),
    ("bearer_token", "Authorization: Bearer <a40>", "<a40>"),
    ("authorization_header", "Authorization: Basic <a22>==", "<a22>=="),
    ("authorization_header", r#"{\"authorization\": \"token <h40>\"}"#, "<h40>"),
    ("database_url", "postgres://app:<a9>@db.internal:5432/app", "<a9>"),
    ("database_url", "mongodb+srv://app:s3cr3t@cluster0.mongodb.net", "s3cr3t"),
    ("database_url", "redis://:hunter22@localhost:6379", "hunter22"),
    ("url_credentials", "git clone https://me:<a12>@git.internal/x.git", "<a12>"),
    ("netrc_password", "machine api.internal login me password correcthorse1", "correcthorse1"),
    ("netrc_password", "machine api.internal\n  login me\n  password correcthorse1\n", "correcthorse1"),
    ("curl_password", "curl -u admin:Hunter2hunter2 https://x.internal", "Hunter2hunter2"),
    (
        "private_key_pem",
        "-----BEGIN RSA PRIVATE KEY-----\n<b64>\n<b64>\n<b20>==\n-----END RSA PRIVATE KEY-----",
        "<b64>\n<b64>\n<b20>==",
    ),
    ("private_key_pem", r"-----BEGIN PRIVATE KEY-----\n<b64>\n<b20>==\n-----END PRIVATE KEY-----\n", r"<b64>\n<b20>=="),
    ("private_key_pem", "-----BEGIN OPENSSH PRIVATE KEY-----\n<b64>\n<b64>", "<b64>\n<b64>"),
    ("private_key_pem", "1→-----BEGIN EC PRIVATE KEY-----\n 2→<b64>\n 3→-----END EC PRIVATE KEY-----", ""),
    ("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY=<b40>", "<b40>"),
    ("aws_secret_access_key", "aws_secret_access_key = <a40>", "<a40>"),
    ("aws_secret_access_key", r#""SecretAccessKey": "<a40>","#, "<a40>"),
    ("generic_password_assignment", "DB_PASSWORD=hunter2hunter2", "hunter2hunter2"),
    ("generic_password_assignment", "export POSTGRES_PASSWORD=mysecretpassword", "mysecretpassword"),
    ("generic_password_assignment", "MAIL_PASS='p4ss w0rd'\nSMTP_PASS='p4ssw0rd'", "p4ssw0rd"),
    ("generic_password_assignment", "password = \"correcthorsebattery\"", "correcthorsebattery"),
    ("generic_password_assignment", r#"{\"password\": \"Tr0ub4dor&3\"}"#, "Tr0ub4dor&3"),
    ("generic_password_assignment", "mysql --password=Tr0ub4dor3 -u root", "Tr0ub4dor3"),
    ("generic_password_assignment", "tool --password Tr0ub4dor3 run", "Tr0ub4dor3"),
    ("generic_password_assignment", "spring.datasource.password: Tr0ub4dor3", "Tr0ub4dor3"),
    ("generic_password_assignment", "clientSecret: '<a24>'", "<a24>"),
    ("generic_password_assignment", "API_KEY=<h32>", "<h32>"),
    ("generic_password_assignment", "x-api-key: <a32>", "<a32>"),
    ("generic_password_assignment", "os.environ[\"API_TOKEN\"] = \"<a24>\"", "<a24>"),
    ("generic_password_assignment", "CLOUDFLARE_API_TOKEN=<a40>", "<a40>"),
    ("generic_password_assignment", r"A=1\nNAME_SECRET=<a20>\nB=2", "<a20>"),
    ("base64_high_entropy", "token: \"<b44>\"", "<b44>"),
    ("base64_high_entropy", "GET /x?token=<a40>&y=1", "<a40>"),
];

#[test]
fn every_family_is_found_whole_and_alone() {
    for (kind, template, secret) in EXAMPLES {
        let text = made(template);
        for text in [text.clone(), format!("It is\n{text}\n, he said"), format!("{{\"a\":[\"{text}\"]}}")] {
            let found: Vec<(&str, &str)> = find(&text).iter().map(|s| (s.kind, &text[s.range.clone()])).collect();
            assert_eq!(found.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [*kind], "{text}: {found:?}");
            if !secret.is_empty() && !secret.contains('<') {
                assert_eq!(found[0].1, *secret, "{text}");
            }
        }
    }
    for kind in RULES.iter().map(|rule| rule.kind) {
        assert!(EXAMPLES.iter().any(|(example, ..)| *example == kind), "{kind} has no example");
    }
}

#[test]
fn the_secret_and_nothing_else_is_taken() {
    let key = made("<b64>");
    let text = format!("a\n-----BEGIN RSA PRIVATE KEY-----\n{key}\n{key}\n-----END RSA PRIVATE KEY-----\nb");
    assert_eq!(&text[find(&text)[0].range.clone()], format!("{key}\n{key}"));
    let escaped = format!(r"-----BEGIN PRIVATE KEY-----\\n{key}\\n-----END PRIVATE KEY-----");
    assert_eq!(&escaped[find(&escaped)[0].range.clone()], key);
    let (token, other) = (made("ghp_<a36>"), made("npm_<a36>"));
    let text = format!("GITHUB_TOKEN={token} NPM_TOKEN=\"{other}\",");
    let found: Vec<&str> = find(&text).iter().map(|s| &text[s.range.clone()]).collect();
    assert_eq!(found, [token, other]);
}

#[test]
fn what_only_looks_like_a_secret_is_left_alone() {
    let look_alikes = [
        "f612d130-59c8-4e9e-abc9-3ba18f852023",
        "session_id: 986e4051-2c9e-4ff2-9acb-dfc76f24777b, session_token: 986e4051-2c9e-4ff2-9acb-dfc76f24777b",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "commit da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "cache_key = \"da39a3ee5e6b4b0d3255bfef95601890afd80709\"",
        "\"key\": \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"",
        "integrity sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==",
        "\"input_tokens\": 195, \"max_tokens\":8192, token_count=12345678901, MAX_TOKENS=100000000",
        "next_token: \"eyJsYXN0IjoxMjM0NTY3ODkwMTIzNDU2Nzg5MA\"",
        "msg_01XFDUDYJgAACzvnptvVoYEL toolu_01Mock017953377770180001 req_011CQ9xyz call_p1",
        "AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "API_KEY=your_api_key_here OPENAI_API_KEY=sk-xxxxxxxxxxxxxxxxxxxxxxxx TOKEN=<YOUR_TOKEN>",
        "API_KEY=YOUR_API_KEY_HERE password=changeme password: \"placeholder\" SECRET=example-secret-1",
        "password = os.environ['DB_PASSWORD']; password = getpass.getpass(); token = request.headers.get('x')",
        "const password = process.env.DB_PASSWORD1; let apiKey = config.services.openai.apiKey1;",
        "secret: String, token: &str, password: Option<String>, key: HashMap<String, Vec<u8>>",
        "PASSWORD=$(cat /run/secrets/db) SECRET_KEY=${SECRET_KEY} TOKEN=$TOKEN DB_PASSWORD_FILE=/run/secrets/db_password",
        "<input type=\"password\" name=\"password\" placeholder=\"Password\">",
        "\"password\": \"required\" password: 'undefined'",
        "secret_name: my-app/production/database secretName: letsencrypt-prod-key",
        "Basic functionality and Basic understanding. Authorization: Bearer <token>. Bearer authentication is used",
        "https://example.com:8080/@scope/package http://localhost:3000/user:name@host",
        "postgres://user:password@localhost/db postgres://${USER}:${PASSWORD}@host redis://localhost:6379",
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END PUBLIC KEY-----",
        "grep -r 'BEGIN RSA PRIVATE KEY' . # -----BEGIN PRIVATE KEY----- is searched for",
        "date -u +%H:%M; docker run -u 1000:1000 x; sort -u a:b",
        "task-list risk-assessment disk-usage sk-button sk-loading-spinner-container ask-me",
        "eyJhbGciOiJIUzI1NiJ9 alone",
        "pip install pypi-simple npm_config_registry hf_hub_download github_pattern ghp_short",
        "key-value-store key-00000000000000000000000000000000",
        "Ctrl+Key: Shift KeyError: 'abc' keyboard: KeyboardInterrupt foreign_key=users.id primary_key=True",
        "password_hash = \"$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNo\"",
        "let token = tokens.next(); Token::Identifier(name) => tokenizer.peek(); token == 'abcdefghij'",
        "pub const FLAG_PASSWORD: WIN32_ERROR = 3; pwd: super::super::UNICODE_STRING",
        "authorization = base64.decodebytes(authorization); authorization: WINBIO_PRESENCE_0",
        "[redacted:github_token:0a1b2c3d] password=[redacted:generic_password_assignment:0a1b2c3d]",
    ];
    for text in look_alikes {
        let found: Vec<&str> = find(text).iter().map(|s| &text[s.range.clone()]).collect();
        assert!(found.is_empty(), "{text}: {found:?}");
    }
}

#[test]
fn a_key_of_json_tells_what_its_value_is() {
    let value = made("<a32>");
    assert_eq!(find_under("apiKey", &value)[0].range, 0..32);
    assert_eq!(find_under("OPENAI_API_KEY", &value).len(), 1);
    assert!(find_under("text", &value).is_empty() && find_under("cacheKey", &value).is_empty());
    let mut found = Vec::new();
    let line = format!(r#"{{"env":{{"DB_PASSWORD":"hunter2hunter2"}},"data":"{}","n":1}}"#, "QUJD".repeat(100));
    find_in_line(&line, &mut |secret, text| found.push((secret.kind, text.to_owned())));
    assert_eq!(found, [("generic_password_assignment", "hunter2hunter2".to_owned())]);
}

#[test]
fn a_mask_never_shows_most_of_a_secret() {
    assert_eq!(masked("hunter2hunter2"), "****");
    assert_eq!(masked(&"é".repeat(30)), "éééé****éééé");
    assert_eq!(masked("MIIE\nabcdefghijklmnopqrst"), "****");
}

/// No timing: a search that looked at more than a bounded piece for each proposal would not end here.
#[test]
fn hostile_text_costs_its_length() {
    for piece in [
        "password=",
        "-----BEGIN PRIVATE KEY-----",
        "eyJ",
        "://a:",
        "machine a login b password ",
        "token=\"",
        "sk-",
        "\\",
    ] {
        let text = piece.repeat((1 << 18) / piece.len());
        let found = find(&text);
        assert!(found.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start), "{piece}");
        assert!(find_under("password", &text).len() <= found.len() + 1);
    }
}
