{{- define "payment-platform.labels" -}}
app.kubernetes.io/name: payment-platform
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: payment-platform
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "payment-platform.secret-name" -}}
{{- .Values.global.secrets.name | default (printf "%s-credentials" .Release.Name) }}
{{- end }}
