# A page over OpenSearch or Elasticsearch, served from this folder. Sourced by the scripts of packaging/cloud.
# shellcheck shell=bash disable=SC2154,SC2034

dashboard_fetch()
{
        command -v python3 >/dev/null || die "python3 is missing"
}

dashboard_start()
{
        service dashboard python3 -m http.server --bind 127.0.0.1 --directory "$cloud/dashboard" "$DASHBOARD_PORT"
}

dashboard_ready()
{
        await dashboard 10 http "http://127.0.0.1:$DASHBOARD_PORT/index.html"
}

dashboard_stop()
{
        end dashboard 5
}

dashboard_look()
{
        cat <<END
  A page         $(page_url)&source=press-1&tag=temp&minutes=5
END
}
