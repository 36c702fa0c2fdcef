# cleanroom in an image: see docs/use/integrations.md.
FROM python:3.13-slim AS build
WORKDIR /source
COPY . .
RUN pip install --no-cache-dir --root-user-action=ignore --prefix=/installed .

FROM python:3.13-slim
COPY --from=build /installed /usr/local
WORKDIR /code
USER 65534:65534
ENTRYPOINT ["cleanroom"]
