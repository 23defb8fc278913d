{{/* What the risk engine's processes need beyond what every service has; `config` of the values wins over it. */}}
{{- define "risk-engine.environment" -}}
GATEWAY_URL: {{ printf "http://%s-payment-gateway:8000" .Release.Name | quote }}
{{- end }}

{{/* Files that are read again while the processes run: none. */}}
{{- define "risk-engine.live-files" -}}
{{- end }}
