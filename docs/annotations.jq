# The events of `modelprep fetch --json` as annotations of a GitHub run: jq -r -f annotations.jq fetch.jsonl
def plain: tostring | gsub("%"; "%25") | gsub("\r"; "%0D") | gsub("\n"; "%0A");
def title: plain | gsub(":"; "%3A") | gsub(","; "%2C");
def told: [.what, .where, .hint] | map(select(. != null and . != "")) | join("\n");
if .event == "warning" then "::warning title=\(.label // "modelprep" | title)::\(.text | plain)"
elif .event == "summary" then
  .demos[] | select(.error) | "::error title=\(.demo | title)::\(.error | told | plain)"
elif .event == "error" or (.event == null and .error) then "::error title=modelprep::\(told | plain)"
else empty end
