{{/* What the pipeline's processes need beyond what every service has; `config` of the values wins over it. */}}
{{- define "data-pipeline.environment" -}}
GATEWAY_URL: {{ printf "http://%s-payment-gateway:8000" .Release.Name | quote }}
RISK_URL: {{ printf "http://%s-risk-engine:8001" .Release.Name | quote }}
CHANNELS_URL: {{ printf "http://%s-channels:8003" .Release.Name | quote }}
{{- end }}

{{/* Files that are read again while the processes run: none. */}}
{{- define "data-pipeline.live-files" -}}
{{- end }}
