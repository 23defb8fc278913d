{{/* What the pipeline's processes need beyond what every service has; `config` of the values wins over it. */}}
{{- define "data-pipeline.environment" -}}
GATEWAY_URL: {{ printf "http://%s-payment-gateway:8000" .Release.Name | quote }}
RISK_URL: {{ printf "http://%s-risk-engine:8001" .Release.Name | quote }}
CHANNELS_URL: {{ .Values.channels.url | default (printf "http://%s-channels:8003" .Release.Name) | quote }}
{{- with .Values.files }}
{{- $place := "" }}
{{- if eq .kind "claim" }}
{{- $place = "file:///var/lib/platform" }}
{{- else }}
{{- if not .s3.bucket }}
{{- fail "data-pipeline: files.kind is s3, so files.s3.bucket must be set" }}
{{- end }}
{{- $place = printf "s3://%s" (list .s3.bucket (.s3.prefix | trimAll "/") | compact | join "/") }}
{{- with .s3.endpoint }}
AWS_ENDPOINT_URL: {{ . | quote }}
{{- end }}
{{- with .s3.region }}
AWS_DEFAULT_REGION: {{ . | quote }}
{{- end }}
{{- if .s3.existingSecret }}
AWS_SHARED_CREDENTIALS_FILE: /run/secrets/bucket/credentials
{{- end }}
{{- end }}
EXPORTS_URL: {{ printf "%s/exports" $place | quote }}
{{- if .archive }}
ARCHIVE_URL: {{ printf "%s/archive" $place | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* Files that are read again while the processes run: none. */}}
{{- define "data-pipeline.live-files" -}}
{{- end }}
