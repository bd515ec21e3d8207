//! Which user agents are known bots: search engines, previews of messengers and networks, monitors, scanners. They are
//! redirected, so that a link can be indexed and previewed, and not counted.
//!
//! A list of words of our own: the crates for it were last kept years ago, and take every HTTP library for a bot. Here a
//! library or a command-line tool counts as a visitor, for people use them and so do a partner's own tests.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

/// Parts of the user agents of bots, in any case.
const WORDS: &[&str] = &[
    "adsbot",
    "archive.org",
    "baiduspider",
    "bingpreview",
    "bot",
    "censys",
    "chrome-lighthouse",
    "cloudflare-healthchecks",
    "crawl",
    "datadog",
    "elb-healthchecker",
    "embedly",
    "expanse",
    "facebookcatalog",
    "facebookexternalhit",
    "feedburner",
    "feedfetcher",
    "flipboardproxy",
    "google favicon",
    "google-inspectiontool",
    "google-read-aloud",
    "google-safety",
    "google-structured-data",
    "googleother",
    "googleproducer",
    "gtmetrix",
    "headlesschrome-prerender",
    "ia_archiver",
    "iframely",
    "mediapartners-google",
    "meta-externalagent",
    "meta-externalfetcher",
    "monitis",
    "newrelicpinger",
    "nutch",
    "outbrain",
    "page2rss",
    "pagespeed",
    "pingdom",
    "prerender",
    "preview",
    "ptst/",
    "quora link",
    "rogerbot",
    "scrapy",
    "scanner",
    "screaming frog",
    "site24x7",
    "sitechecker",
    "skypeuripreview",
    "slurp",
    "snapchatads",
    "spider",
    "statuscake",
    "teoma",
    "uptime",
    "validator",
    "virustotal",
    "vkshare",
    "w3c_",
    "whatsapp/",
    "xing-contenttabreceiver",
    "yahoo! slurp",
    "yandeximages",
    "yandexmetrika",
    "yisouspider",
];

/// Parts of the user agents of people that hold such a word: a maker of telephones.
const EXCEPTIONS: &[&str] = &["cubot"];

static MATCHER: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::LeftmostLongest)
        .build(EXCEPTIONS.iter().chain(WORDS))
        .inspect_err(|error| log::error!("the list of bots: {error}"))
        .ok()
});

/// Whether a user agent is a known bot's.
#[must_use]
pub fn is_bot(user_agent: &str) -> bool {
    let Some(matcher) = MATCHER.as_ref() else { return false };
    matcher.find_iter(user_agent).any(|found| found.pattern().as_usize() >= EXCEPTIONS.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_bots_are_known() {
        for bot in [
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0) Chrome/120 Safari/537.36",
            "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
            "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
            "Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)",
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
            "Twitterbot/1.0",
            "WhatsApp/2.23.20.0 A",
            "TelegramBot (like TwitterBot)",
            "LinkedInBot/1.0 (compatible; Mozilla/5.0)",
            "Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)",
            "Mozilla/5.0 (compatible; AhrefsBot/7.0)",
            "Pingdom.com_bot_version_1.4",
            "DuckDuckBot/1.1",
            "UptimeRobot/2.0",
        ] {
            assert!(is_bot(bot), "{bot}");
        }
    }

    #[test]
    fn people_and_their_tools_are_no_bots() {
        for person in [
            "",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Mobile/15E148 Safari/604.1",
            "Mozilla/5.0 (Linux; Android 13; CUBOT NOTE 50) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36",
            "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
            "Mozilla/5.0 (Linux; Android 14) [FBAN/FB4A;FBAV/468.0]",
            "curl/8.5.0",
            "python-requests/2.32.3",
        ] {
            assert!(!is_bot(person), "{person}");
        }
    }
}
