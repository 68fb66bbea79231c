#!/usr/bin/env bash
# curl and openssl at the ingress: default and custom domain, certificates, forced HTTPS, canonical host, unknown hosts.
client=ingress
. "$LIB/check.sh"
app=conformance-web
http_port=${INGRESS_HTTP##*:} https_port=${INGRESS_HTTPS##*:}
custom="web.$DNS_ZONE" second="other.$DNS_ZONE"
login "$SCALINGO_API_TOKEN" "$SCRATCH/bearer"
api 201 POST /apps -d "{\"app\":{\"name\":\"$app\"}}"
default=$(json .app.url)
default=${default#http*://}
default=${default%%[:/]*}
mkdir -p "$SCRATCH/tree/site"
cat >"$SCRATCH/tree/site/serve.py" <<'PY'
import http.server, json, os, socketserver
class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        told = {"method": self.command, "path": self.path, "size": len(body), "headers": {k.lower(): v for k, v in self.headers.items()}}
        out = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(out)))
        self.end_headers()
        self.wfile.write(out)
    do_GET = do_POST = do_PUT = do_DELETE = answer
    def log_message(self, *_): pass
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
Server(("0.0.0.0", int(os.environ["PORT"])), Echo).serve_forever()
PY
echo 'web: exec python3 serve.py' >"$SCRATCH/tree/site/Procfile"
tar -czf "$SCRATCH/site.tar.gz" -C "$SCRATCH/tree" site
api 201 POST /sources -d '{}'
source_url=$(json .source.download_url)
http 200 PUT "$(json .source.upload_url)" -H 'Content-Type: application/x-gzip' --data-binary "@$SCRATCH/site.tar.gz"
api 201 POST "/apps/$app/deployments" -d "$(jq -nc --arg u "$source_url" '{deployment: {git_ref: "v1", source_url: $u}}')"
within 60 deployed "$app" "$(json .deployment.id)" success
to() { # scheme, host, path, [curl options…]: the status; body and headers in their files
  local scheme=$1 host=$2 path=$3 port=$http_port
  shift 3
  [ "$scheme" = https ] && port=$https_port
  curl -sS --max-time 20 --cacert "$CA_CERT" --resolve "$host:$port:127.0.0.1" -o "$SCRATCH/body" -D "$SCRATCH/headers" -w '%{http_code}' \
    "$@" "$scheme://$host:$port$path"
}

plain() { same "$(to http "$default" /a?b=c)" 200 && holds '.path == "/a?b=c"'; }
check 'curl: default domain by HTTP' plain
secure() { same "$(to https "$default" /)" 200 && holds '.headers["x-forwarded-proto"] == "https" and .headers["x-forwarded-for"]'; }
check 'curl: default domain by HTTPS, X-Forwarded-*' secure
body() {
  head -c 3000000 /dev/zero >"$SCRATCH/zeros"
  same "$(to https "$default" / -X POST --data-binary "@$SCRATCH/zeros")" 200
  holds '.size == 3000000 and .method == "POST"'
}
check 'curl: a body of 3 MB' body
http2() { same "$(to https "$default" / --http2)" 200; }
check 'curl: offers HTTP/2' http2
unknown() { same "$(to http "nobody.$DNS_ZONE" /)" 404; }
check 'curl: unknown host is 404' unknown
forced() {
  api 200 PUT "/apps/$app" -d '{"force_https":true}'
  same "$(to http "$default" '/a?b=c')" 301
  case $(header location) in "https://$default"*'/a?b=c') ;; *) fail "Location: $(header location)" ;; esac
  same "$(to https "$default" /)" 200
  case $(header strict-transport-security) in *max-age=31536000*) ;; *) fail "HSTS: $(header strict-transport-security)" ;; esac
  api 200 PUT "/apps/$app" -d '{"force_https":false}'
  same "$(to http "$default" /)" 200
}
check 'curl: forced HTTPS, 301 and HSTS; off again' forced

verified() { # host, wanted text of the SAN
  openssl s_client -connect "127.0.0.1:$https_port" -servername "$1" -verify_hostname "$1" -CAfile "$CA_CERT" -verify_return_error \
    </dev/null >"$SCRATCH/tls" 2>&1 || fail "$(grep -iE 'verify|alert' "$SCRATCH/tls" | head -n 2 | tr '\n' ' ')"
  grep -q 'Verify return code: 0 (ok)' "$SCRATCH/tls"
}
check 'openssl s_client: default domain verifies' verified "$default"
versions() {
  openssl s_client -tls1_2 -connect "127.0.0.1:$https_port" -servername "$default" -CAfile "$CA_CERT" </dev/null 2>&1 | among 'TLSv1.2'
  openssl s_client -tls1_3 -connect "127.0.0.1:$https_port" -servername "$default" -CAfile "$CA_CERT" </dev/null 2>&1 | among 'TLSv1.3'
}
check 'openssl s_client: TLS 1.2 and 1.3' versions
dates() {
  openssl s_client -connect "127.0.0.1:$https_port" -servername "$default" -CAfile "$CA_CERT" </dev/null 2>/dev/null | openssl x509 -noout -checkend 86400
}
check 'openssl x509: valid for a day at least' dates

attach() {
  api 201 POST "/apps/$app/domains" -d "{\"domain\":{\"name\":\"$custom\"}}"
  keep domain "$(json .domain.id)"
  same "$(to http "$custom" /)" 200
  ! (verified "$custom") 2>/dev/null || fail 'a certificate before DNS leads here'
}
check 'domain: routed at once, no certificate before DNS' attach
dns() { # name
  printf 'user = "%s account=%s:"\n' "$ALWAYSDATA_API_KEY" "$ALWAYSDATA_ACCOUNT" >"$SCRATCH/account"
  local base=${ALWAYSDATA_API_URL%/v1}/v1 zone
  http 200 GET "$base/domain/?name=$DNS_ZONE" -K "$SCRATCH/account"
  zone=$(json --arg z "$DNS_ZONE" '.[] | select(.name == $z) | .id')
  http 201 POST "$base/record/" -K "$SCRATCH/account" -H 'alwaysdata-synchronous: yes' \
    -d "$(jq -nc --argjson d "$zone" --arg n "${1%".$DNS_ZONE"}" --arg v "$default" '{domain: $d, name: $n, type: "CNAME", value: $v, ttl: 300}')"
}
issued() { api 200 GET "/apps/$app/domains/$(kept domain)" && [ "$(json .domain.letsencrypt_status)" = created ]; }
issue() {
  dns "$custom"
  within 60 issued
  holds '.domain | .letsencrypt and .ssl'
  within 10 verified "$custom"
  same "$(to https "$custom" /)" 200
}
check 'domain: CNAME, then a certificate that verifies' issue
wrong_name() { ! (verified "unrelated.$DNS_ZONE") 2>/dev/null || fail 'a certificate for a name that nobody attached'; }
check 'openssl s_client: an unknown name does not verify' wrong_name
canonical() {
  api 200 PATCH "/apps/$app/domains/$(kept domain)" -d '{"domain":{"canonical":true}}'
  same "$(to https "$default" '/x?y=1')" 301
  case $(header location) in *"$custom"*'/x?y=1') ;; *) fail "Location: $(header location)" ;; esac
  same "$(to https "$custom" /)" 200
  api 200 PATCH "/apps/$app/domains/$(kept domain)" -d '{"domain":{"canonical":false}}'
  same "$(to https "$default" /)" 200
}
check 'domain: canonical, other hosts 301' canonical
sticky() {
  api 200 PUT "/apps/$app" -d '{"sticky_session":true}'
  same "$(to https "$default" /)" 200
  case $(header set-cookie) in sc-sticky-session=*Max-Age=86400*) ;; *) fail "Set-Cookie: $(header set-cookie)" ;; esac
  api 200 PUT "/apps/$app" -d '{"sticky_session":false}'
}
check 'curl: sticky sessions set the cookie' sticky
own() { # one's own certificate, before DNS
  openssl req -x509 -newkey rsa:2048 -nodes -days 3 -subj "/CN=$second" -addext "subjectAltName=DNS:$second" \
    -keyout "$SCRATCH/own.key" -out "$SCRATCH/own.pem" 2>/dev/null
  api 201 POST "/apps/$app/domains" -d "$(jq -nc --arg n "$second" --rawfile c "$SCRATCH/own.pem" --rawfile k "$SCRATCH/own.key" '{domain: {name: $n, tlscert: $c, tlskey: $k}}')"
  holds --arg n "$second" '.domain | .ssl and (.tlscert | contains($n)) and (.tlskey | contains("PRIVATE") | not)'
  mine() {
    openssl s_client -connect "127.0.0.1:$https_port" -servername "$second" -verify_hostname "$second" -CAfile "$SCRATCH/own.pem" -verify_return_error </dev/null >"$SCRATCH/tls" 2>&1
  }
  within 10 mine
}
check 'domain: an own certificate, served before DNS' own
stopped() { # with a page of its own, as for maintenance
  printf 'we are back at noon' >"$SCRATCH/page"
  api 201 POST /sources -d '{}'
  local page
  page=$(json .source.download_url)
  http 200 PUT "$(json .source.upload_url)" -H 'Content-Type: application/x-gzip' --data-binary "@$SCRATCH/page"
  api 201 POST "/apps/$app/variables" -d "$(jq -nc --arg u "$page" '{variable: {name: "SCALINGO_STOPPED_PAGE_URL", value: $u}}')"
  api 202 POST "/apps/$app/scale" -d '{"containers":[{"name":"web","amount":0,"size":"M"}]}'
  local operation
  operation=$(header location)
  within 60 operation_done "$app" "${operation##*/}"
  same "$(to https "$default" /)" 503
  same "$(cat "$SCRATCH/body")" 'we are back at noon'
  [ -n "$(header x-scalingo-error)" ] || fail 'no X-Scalingo-Error'
}
check 'curl: a stopped app answers 503 and its own page' stopped
detach() {
  api 204 DELETE "/apps/$app/domains/$(kept domain)"
  gone() { [ "$(to http "$custom" /)" = 404 ]; }
  within 10 gone
}
check 'domain: removed, 404' detach
