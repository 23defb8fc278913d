{{/*
Names, labels, version and image. Context of the first group: the service's chart (`.`).
Context "process": dict "chart" <the service's chart> "name" <process> "process" <its values>.
*/}}

{{- define "platform-service.fullname" -}}
{{- if gt (len .Release.Name) 28 }}
{{- fail (printf "the release name %q is longer than 28 characters: names made from it would pass Kubernetes' limit of 63" .Release.Name) }}
{{- end }}
{{- printf "%s-%s" .Release.Name .Chart.Name }}
{{- end }}

{{/* A service's own version beats the release's, that beats the chart's. Works alone and below the umbrella. */}}
{{- define "platform-service.version" -}}
{{- coalesce ((.Values.app).version) (((.Values.global).app).version) .Chart.AppVersion }}
{{- end }}

{{/*
registry/repository:version, and @sha256:… where a digest is pinned. A digest beats a tag, so one left over from
another version would silently deploy the old code: it carries the version that it belongs to.
*/}}
{{- define "platform-service.image" -}}
{{- $version := include "platform-service.version" . }}
{{- $digest := .Values.app.digest }}
{{- $name := printf "%s:%s" .Values.image.repository $version }}
{{- with ((.Values.global).image).registry }}
{{- $name = printf "%s/%s" . $name }}
{{- end }}
{{- if $digest.sha256 }}
{{- if ne $digest.version $version }}
{{- fail (printf "%s: app.digest belongs to version %q, but version %q is to be deployed: set app.digest.version and app.digest.sha256 together with the version, or clear both" .Chart.Name $digest.version $version) }}
{{- end }}
{{- $name = printf "%s@sha256:%s" $name $digest.sha256 }}
{{- end }}
{{- $name }}
{{- end }}

{{- define "platform-service.secret-name" -}}
{{- coalesce .Values.existingSecret ((.Values.global).secrets).name (printf "%s-credentials" .Release.Name) }}
{{- end }}

{{- define "platform-service.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ include "platform-service.version" . | quote }}
app.kubernetes.io/part-of: payment-platform
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Context "process". What selectors use: nothing here may change between versions, selectors are immutable. */}}
{{- define "platform-service.selector" -}}
app.kubernetes.io/name: {{ .chart.Chart.Name }}
app.kubernetes.io/instance: {{ .chart.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{/* Context "process". */}}
{{- define "platform-service.process-name" -}}
{{ include "platform-service.fullname" .chart }}-{{ .name }}
{{- end }}
