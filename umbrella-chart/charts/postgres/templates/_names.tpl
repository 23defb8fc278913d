{{- define "postgres.fullname" -}}
{{ .Release.Name }}-postgres
{{- end }}

{{/* For selectors and claim templates, which are immutable: nothing of a version. */}}
{{- define "postgres.selector" -}}
app.kubernetes.io/name: postgres
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: postgres
{{- end }}

{{- define "postgres.labels" -}}
{{ include "postgres.selector" . }}
app.kubernetes.io/version: {{ include "postgres.version" . | quote }}
app.kubernetes.io/part-of: payment-platform
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "postgres.version" -}}
{{- ((.Values.global).database).version | default .Chart.AppVersion }}
{{- end }}

{{- define "postgres.image" -}}
{{- $name := printf "%s:%s" .Values.image.repository (include "postgres.version" .) }}
{{- with ((.Values.global).image).registry }}
{{- $name = printf "%s/%s" . $name }}
{{- end }}
{{- with ((.Values.global).database).digest }}
{{- $name = printf "%s@%s" $name . }}
{{- end }}
{{- $name }}
{{- end }}

{{- define "postgres.secret-name" -}}
{{- coalesce .Values.existingSecret ((.Values.global).secrets).name (printf "%s-credentials" .Release.Name) }}
{{- end }}
