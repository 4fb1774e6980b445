# The app on live prices; its database, keys, candles and backups live in /data.
#   docker build -t ai-crypto-trading .
#   docker run --rm -it -v trading:/data ai-crypto-trading user set-password
#   docker run -d --name trading -p 127.0.0.1:5000:5000 -v trading:/data ai-crypto-trading
FROM python:3.13-slim

RUN useradd --uid 1000 --create-home --home-dir /data trading
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements.txt
COPY . .
RUN for catalogue in translations/*/LC_MESSAGES/messages.po; do \
      pybabel compile --input-file "$catalogue" --output-file "${catalogue%.po}.mo" \
        --locale "$(basename "$(dirname "$(dirname "$catalogue")")")" || exit 1; \
    done

USER trading
VOLUME /data
EXPOSE 5000
# Others than the container reach this address: it does not start before a password is set.
ENV HOST=0.0.0.0 DATABASE_PATH=/data/trading.db LOG_FORMAT=json PYTHONUNBUFFERED=1
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:5000/api/health', timeout=8)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["flask", "--app", "app"]
CMD ["serve"]
