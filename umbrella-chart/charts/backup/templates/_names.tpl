{{- define "backup.fullname" -}}
{{ .Release.Name }}-backup
{{- end }}

{{- define "backup.selector" -}}
app.kubernetes.io/name: backup
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "backup.labels" -}}
{{ include "backup.selector" . }}
app.kubernetes.io/version: {{ include "backup.version" . | quote }}
app.kubernetes.io/part-of: payment-platform
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* The server's version, from the one value that the server's image has it from, too. */}}
{{- define "backup.version" -}}
{{- ((.Values.global).database).version | default .Chart.AppVersion }}
{{- end }}

{{- define "backup.image" -}}
{{- $name := printf "%s:%s" .Values.image.repository (include "backup.version" .) }}
{{- with ((.Values.global).image).registry }}
{{- $name = printf "%s/%s" . $name }}
{{- end }}
{{- with ((.Values.global).database).digest }}
{{- $name = printf "%s@%s" $name . }}
{{- end }}
{{- $name }}
{{- end }}

{{- define "backup.s3-image" -}}
{{- $image := .Values.target.s3.image }}
{{- $name := printf "%s:%s" $image.repository $image.tag }}
{{- with ((.Values.global).image).registry }}
{{- $name = printf "%s/%s" . $name }}
{{- end }}
{{- with $image.digest }}
{{- $name = printf "%s@%s" $name . }}
{{- end }}
{{- $name }}
{{- end }}

{{- define "backup.secret-name" -}}
{{- coalesce .Values.existingSecret ((.Values.global).secrets).name (printf "%s-credentials" .Release.Name) }}
{{- end }}

{{- define "backup.claim-name" -}}
{{- .Values.target.claim.existingClaim | default (include "backup.fullname" .) }}
{{- end }}

{{/* bucket/prefix as rclone's remote "target" */}}
{{- define "backup.s3-path" -}}
{{- $s3 := .Values.target.s3 }}
{{- if not $s3.bucket }}
{{- fail "backup: target.kind is s3, so target.s3.bucket must be set" }}
{{- end }}
{{- printf "target:%s" (list $s3.bucket ($s3.prefix | trimAll "/") | compact | join "/") }}
{{- end }}
