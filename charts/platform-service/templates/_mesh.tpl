{{/*
The service mesh switch, global.mesh: none, linkerd, istio-ambient or istio-sidecar. What a pod carries so that the mesh takes it, who may call the
doors that are not public, and no retry by anybody but the caller itself. Context of the first three: the chart.
*/}}
{{- define "platform-service.mesh" -}}
{{- (.Values.global).mesh | default "none" }}
{{- end }}

{{- define "platform-service.mesh-labels" -}}
{{- $mesh := include "platform-service.mesh" . }}
{{- if eq $mesh "istio-ambient" }}
istio.io/dataplane-mode: ambient
{{- else if eq $mesh "istio-sidecar" }}
sidecar.istio.io/inject: "true"
{{- end }}
{{- end }}

{{- define "platform-service.mesh-annotations" -}}
{{- if eq (include "platform-service.mesh" .) "linkerd" }}
linkerd.io/inject: enabled
# Not meshed, and the server speaks first: handed on as they are.
config.linkerd.io/skip-outbound-ports: "5432,6379"
{{- end }}
{{- end }}

{{/* Ambient carries every connection of a pod on one port beside the real one. ", {port: …}" for a policy's list, or nothing. */}}
{{- define "platform-service.mesh-port" -}}
{{- if eq (include "platform-service.mesh" .) "istio-ambient" }}, {port: 15008, protocol: TCP}{{ end }}
{{- end }}

{{/*
Who may call the doors that not everybody may, by the identity that the mesh proves. A door that admits `anyone` stays open to callers outside of
the mesh (it asks for an API key); metrics and health stay open everywhere. Context: the chart.
*/}}
{{- define "platform-service.mesh-policies" -}}
{{- $mesh := include "platform-service.mesh" . }}
{{- if ne $mesh "none" }}
{{- $doors := dict }}
{{- range $name, $process := .Values.processes }}
{{- if and $process.port (not (has "anyone" $process.admits)) }}{{ $_ := set $doors $name $process }}{{ end }}
{{- end }}
{{- if and .Values.canary.enabled (hasKey $doors "api") }}{{ $_ := set $doors "api-canary" .Values.processes.api }}{{ end }}
{{- with .Values.simulators }}{{ if .enabled }}{{ $_ := set $doors "channels" . }}{{ end }}{{ end }}
{{- range $name, $process := $doors }}
{{- $me := dict "chart" $ "name" $name "process" $process }}
{{- $labels := include "platform-service.labels" $ }}
{{- if eq $mesh "linkerd" }}
{{- include "platform-service.needs" (dict "chart" $ "api" "policy.linkerd.io/v1alpha1" "what" "global.mesh=linkerd" "install" "linkerd install --crds | kubectl apply -f -") }}
---
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata:
  name: {{ include "platform-service.process-name" $me }}
  labels:
    {{- $labels | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "platform-service.selector" $me | nindent 6 }}
  port: http
  proxyProtocol: HTTP/1
---
apiVersion: policy.linkerd.io/v1alpha1
kind: MeshTLSAuthentication
metadata:
  name: {{ include "platform-service.process-name" $me }}
  labels:
    {{- $labels | nindent 4 }}
spec:
  identities:
    {{- range $process.admits }}
    - {{ $.Release.Name }}-{{ . }}.{{ $.Release.Namespace }}.serviceaccount.identity.linkerd.{{ ($.Values.global).trustDomain | default "cluster.local" }}
    {{- end }}
---
apiVersion: policy.linkerd.io/v1alpha1
kind: AuthorizationPolicy
metadata:
  name: {{ include "platform-service.process-name" $me }}
  labels:
    {{- $labels | nindent 4 }}
spec:
  targetRef:
    group: policy.linkerd.io
    kind: Server
    name: {{ include "platform-service.process-name" $me }}
  requiredAuthenticationRefs:
    - group: policy.linkerd.io
      kind: MeshTLSAuthentication
      name: {{ include "platform-service.process-name" $me }}
{{- else }}
{{- include "platform-service.needs" (dict "chart" $ "api" "security.istio.io/v1" "what" (printf "global.mesh=%s" $mesh) "install" "istioctl install --set profile=ambient") }}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata:
  name: {{ include "platform-service.process-name" $me }}
  labels:
    {{- $labels | nindent 4 }}
spec:
  selector:
    matchLabels:
      {{- include "platform-service.selector" $me | nindent 6 }}
  mtls: {mode: STRICT}
  # Prometheus need not be in the mesh; a NetworkPolicy says who it is.
  portLevelMtls:
    9000: {mode: PERMISSIVE}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: {{ include "platform-service.process-name" $me }}
  labels:
    {{- $labels | nindent 4 }}
spec:
  selector:
    matchLabels:
      {{- include "platform-service.selector" $me | nindent 6 }}
  action: ALLOW
  rules:
    - from:
        - source:
            principals:
              {{- range $process.admits }}
              - {{ ($.Values.global).trustDomain | default "cluster.local" }}/ns/{{ $.Release.Namespace }}/sa/{{ $.Release.Name }}-{{ . }}
              {{- end }}
      to:
        - operation:
            ports: [{{ $process.port | quote }}]
    - to:
        - operation:
            ports: ["9000"]
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/*
The way of a request inside the mesh: no retry, since a proxy that repeats a POST pays twice or hides the answer (the caller repeats with its
key, or does not), and a share of it to the canary. Istio's sidecars retry by default, so there the object is always made. Linkerd and ztunnel
repeat nothing unless asked; for a split they read the Gateway API's route on the Service. Context: the chart.
*/}}
{{- define "platform-service.mesh-route" -}}
{{- $mesh := include "platform-service.mesh" . }}
{{- if eq $mesh "istio-sidecar" }}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: {{ include "platform-service.fullname" . }}
  labels:
    {{- include "platform-service.labels" . | nindent 4 }}
spec:
  hosts: [{{ include "platform-service.fullname" . }}]
  http:
    - retries: {attempts: 0}
      route:
        {{- range include "platform-service.backends" . | fromYamlArray }}
        - destination:
            host: {{ .name }}
            port: {number: {{ .port }}}
          weight: {{ .weight }}
        {{- end }}
{{- else if and (ne $mesh "none") .Values.canary.enabled }}
{{- include "platform-service.needs" (dict "chart" . "api" "gateway.networking.k8s.io/v1" "what" "a canary in the mesh" "install" "kubectl apply -f https://github.com/kubernetes-sigs/gateway-api/releases/latest/download/standard-install.yaml") }}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: {{ include "platform-service.fullname" . }}-split
  labels:
    {{- include "platform-service.labels" . | nindent 4 }}
spec:
  parentRefs:
    - group: ""
      kind: Service
      name: {{ include "platform-service.fullname" . }}
      port: {{ .Values.processes.api.port }}
  rules:
    - backendRefs:
        {{- include "platform-service.backends" . | nindent 8 }}
{{- end }}
{{- end }}

{{/* The Services behind a service's name, with their shares. Context: the chart. */}}
{{- define "platform-service.backends" -}}
{{- $port := .Values.processes.api.port }}
{{- $share := ternary (int .Values.canary.weight) 0 .Values.canary.enabled }}
- {name: {{ include "platform-service.fullname" . }}, port: {{ $port }}, weight: {{ sub 100 $share }}}
{{- if .Values.canary.enabled }}
- {name: {{ include "platform-service.fullname" . }}-canary, port: {{ $port }}, weight: {{ $share }}}
{{- end }}
{{- end }}

{{/* The way in from outside, by the cluster's own Gateway. Context: the chart. */}}
{{- define "platform-service.gateway-route" -}}
{{- if .Values.route.enabled }}
{{- include "platform-service.needs" (dict "chart" . "api" "gateway.networking.k8s.io/v1" "what" (printf "%s.route" .Chart.Name) "install" "kubectl apply -f https://github.com/kubernetes-sigs/gateway-api/releases/latest/download/standard-install.yaml, and a controller") }}
{{- if not .Values.route.gateway.name }}
{{- fail (printf "%s: route.enabled is true, so route.gateway.name must name the Gateway" .Chart.Name) }}
{{- end }}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: {{ include "platform-service.fullname" . }}
  labels:
    {{- include "platform-service.labels" . | nindent 4 }}
spec:
  parentRefs:
    - name: {{ .Values.route.gateway.name }}
      {{- with .Values.route.gateway.namespace }}
      namespace: {{ . }}
      {{- end }}
      {{- with .Values.route.gateway.sectionName }}
      sectionName: {{ . }}
      {{- end }}
  {{- with .Values.route.hostnames }}
  hostnames: {{ toJson . }}
  {{- end }}
  rules:
    - matches:
        - path: {type: PathPrefix, value: {{ .Values.route.path | quote }}}
      # Above our own longest request (30 s). Nothing here repeats a request: whoever sent it does, with its key.
      timeouts: {request: 35s}
      backendRefs:
        {{- include "platform-service.backends" . | nindent 8 }}
{{- end }}
{{- end }}

{{/*
The canary: the api of another version beside the real one, behind a Service of its own. Nothing leads there but a split: by the mesh, or by the
Gateway's route. Context: the chart.
*/}}
{{- define "platform-service.canary" -}}
{{- with .Values.canary }}
{{- if .enabled }}
{{- if not .version }}
{{- fail (printf "%s: canary.enabled is true, so canary.version must say which version it is" $.Chart.Name) }}
{{- end }}
{{- if and (eq (include "platform-service.mesh" $) "none") (not $.Values.route.enabled) }}
{{- fail (printf "%s: a canary needs somebody who splits the traffic: global.mesh, or route.enabled" $.Chart.Name) }}
{{- end }}
{{- $chart := dict "Values" (mergeOverwrite (deepCopy $.Values) (dict "app" (dict "version" .version "digest" .digest))) "Chart" $.Chart "Release" $.Release "Capabilities" $.Capabilities "Template" $.Template "Files" $.Files }}
{{- $me := dict "chart" $chart "name" "api-canary" "process" $.Values.processes.api }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "platform-service.process-name" $me }}
  labels:
    {{- include "platform-service.labels" $chart | nindent 4 }}
    app.kubernetes.io/component: api-canary
spec:
  replicas: {{ .replicas }}
  revisionHistoryLimit: 5
  progressDeadlineSeconds: 300
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  selector:
    matchLabels:
      {{- include "platform-service.selector" $me | nindent 6 }}
  template:
    {{- include "platform-service.pod" $me | nindent 4 }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ include "platform-service.fullname" $ }}-canary
  labels:
    {{- include "platform-service.labels" $chart | nindent 4 }}
    app.kubernetes.io/component: api-canary
spec:
  selector:
    {{- include "platform-service.selector" $me | nindent 4 }}
  ports:
    - {name: http, port: {{ $.Values.processes.api.port }}, targetPort: http, appProtocol: http}
{{- if dig "networkPolicy" "enabled" true ($.Values.global | default dict) }}
---
{{ include "platform-service.network-policy" $me }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
