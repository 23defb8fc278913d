{{- define "redis.fullname" -}}
{{ .Release.Name }}-redis
{{- end }}

{{/* For selectors and claim templates, which are immutable: nothing of a version. */}}
{{- define "redis.selector" -}}
app.kubernetes.io/name: redis
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: redis
{{- end }}

{{- define "redis.labels" -}}
{{ include "redis.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | quote }}
app.kubernetes.io/part-of: payment-platform
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "redis.image" -}}
{{- $name := printf "%s:%s" .Values.image.repository .Values.image.tag }}
{{- with ((.Values.global).image).registry }}
{{- $name = printf "%s/%s" . $name }}
{{- end }}
{{- with .Values.image.digest }}
{{- $name = printf "%s@%s" $name . }}
{{- end }}
{{- $name }}
{{- end }}

{{- define "redis.secret-name" -}}
{{- coalesce .Values.existingSecret ((.Values.global).secrets).name (printf "%s-credentials" .Release.Name) }}
{{- end }}
