{{/*
The environment of a service's processes. Nothing secret is in it: passwords and tokens are mounted as files.
*/}}

{{- define "platform-service.postgres-host" -}}
{{- ((.Values.global).database).host | default (printf "%s-postgres" .Release.Name) }}
{{- end }}

{{- define "platform-service.redis-host" -}}
{{- ((.Values.global).redis).host | default (printf "%s-redis" .Release.Name) }}
{{- end }}

{{/* Context: dict "chart" <chart> "role" <owner or app>, and "schema" if it is not the service's own. No password: the process reads it from its file. */}}
{{- define "platform-service.database-url" -}}
{{- $database := dict "port" 5432 "name" "platform" "query" "" }}
{{- $database = merge (dict) (((.chart.Values.global).database) | default dict) $database }}
{{- $query := ternary (printf "?%s" $database.query) "" (ne $database.query "") }}
{{- printf "postgresql://%s_%s@%s:%d/%s%s" (.schema | default .chart.Values.database.schema) .role (include "platform-service.postgres-host" .chart) (int $database.port) $database.name $query }}
{{- end }}

{{- define "platform-service.redis-url" -}}
{{- $redis := merge (dict) (((.Values.global).redis) | default dict) (dict "port" 6379 "scheme" "redis" "database" 0) }}
{{- printf "%s://%s:%d/%d" $redis.scheme (include "platform-service.redis-host" .) (int $redis.port) (int $redis.database) }}
{{- end }}

{{/*
Every variable of the service as YAML: common ones, then those of `<chart>.environment`, then `config` of the values,
the later winning. It is the ConfigMap's data and what the pods' checksum is made of.
*/}}
{{- define "platform-service.environment" -}}
{{- $global := .Values.global | default dict }}
{{- $common := dict
      "ENVIRONMENT" ($global.environment | default "kubernetes")
      "LOG_LEVEL" ($global.logLevel | default "INFO")
      "LOG_FORMAT" "json"
      "HOST" "0.0.0.0"
      "OPS_PORT" "9000"
      "SECRETS_DIR" "/run/secrets/platform"
      "DATABASE_URL" (include "platform-service.database-url" (dict "chart" . "role" "app"))
      "REDIS_URL" (include "platform-service.redis-url" .)
      "OTLP_ENDPOINT" ($global.otlpEndpoint | default "") }}
{{- range .Values.database.furtherSchemas }}
{{- $_ := set $common (printf "%s_DATABASE_URL" (upper .)) (include "platform-service.database-url" (dict "chart" $ "role" "app" "schema" .)) }}
{{- end }}
{{- $own := include (printf "%s.environment" .Chart.Name) . | fromYaml }}
{{- range $name, $value := merge (dict) .Values.config $own $common }}
{{ $name }}: {{ $value | toString | quote }}
{{- end }}
{{- end }}

{{- define "platform-service.config-map" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "platform-service.fullname" . }}
  labels:
    {{- include "platform-service.labels" . | nindent 4 }}
data:
  {{- include "platform-service.environment" . | trim | nindent 2 }}
{{- end }}

{{/*
Files that the processes read again while they run: `<chart>.live-files` gives name to content, or nothing. They are no part of the
pods' checksum: a change reaches the running pods (the kubelet swaps the folder's link within a minute or so) and restarts none.
*/}}
{{- define "platform-service.live-config-map" -}}
{{- $files := include (printf "%s.live-files" .Chart.Name) . | fromYaml }}
{{- if $files }}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "platform-service.fullname" . }}-live
  labels:
    {{- include "platform-service.labels" . | nindent 4 }}
data:
  {{- range $name, $content := $files }}
  {{ $name }}: |
    {{- $content | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
