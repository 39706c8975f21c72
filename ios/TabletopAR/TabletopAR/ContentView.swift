import RealityKit
import SwiftUI

struct ContentView: View {
    @StateObject private var recognizer = Recognizer()
    @Environment(\.scenePhase) private var scenePhase

    var body: some View {
        ZStack(alignment: .bottom) {
            CameraView(recognizer: recognizer)
                .ignoresSafeArea()
                .accessibilityLabel("Live camera picture with labels on the parts")
            switch recognizer.state {
            case .starting:
                NoticeView(title: "Starting", text: "The model is being loaded.")
            case .running:
                SightView()
                AnswerView(answer: recognizer.answer, labelCount: recognizer.labelCount, clear: recognizer.removeLabels)
            case .cameraDenied:
                NoticeView(title: "No camera access",
                           text: "The app recognises parts in the camera's picture. Allow the camera in Settings.",
                           linkToSettings: true)
            case .failed(let reason):
                NoticeView(title: "This does not work", text: reason)
            }
        }
        .onChange(of: scenePhase) { phase in
            // Coming back from Settings, too: the camera may be allowed by now.
            if phase == .active { recognizer.start() } else { recognizer.stop() }
        }
        .onAppear { recognizer.start() }
    }
}

/// RealityKit's view of the camera and the labels.
private struct CameraView: UIViewRepresentable {
    let recognizer: Recognizer

    func makeUIView(context: Context) -> ARView { recognizer.arView }

    func updateUIView(_ view: ARView, context: Context) {}
}

/// Where labels are put: the middle of what the model sees.
private struct SightView: View {
    var body: some View {
        Image(systemName: "plus.viewfinder")
            .font(.system(size: 44, weight: .ultraLight))
            .foregroundColor(.white)
            .shadow(radius: 2)
            .frame(maxWidth: .infinity, maxHeight: .infinity)
            .ignoresSafeArea()
            .accessibilityHidden(true)
    }
}

private struct AnswerView: View {
    let answer: Recognizer.Answer?
    let labelCount: Int
    let clear: () -> Void

    var body: some View {
        HStack(spacing: 16) {
            VStack(alignment: .leading, spacing: 4) {
                Text(title).font(.title2.bold())
                Text(details).font(.footnote.monospacedDigit()).foregroundColor(.secondary)
            }
            .frame(maxWidth: .infinity, alignment: .leading)
            .accessibilityElement(children: .ignore)
            .accessibilityLabel("Recognised part")
            .accessibilityValue(spoken)
            .accessibilityAddTraits(.updatesFrequently)
            if labelCount > 0 {
                Button("Clear labels", action: clear)
                    .buttonStyle(.bordered)
                    .accessibilityHint("Removes the \(labelCount) labels from the table")
            }
        }
        .padding()
        .background(.regularMaterial, in: RoundedRectangle(cornerRadius: 20))
        .padding()
    }

    private var title: String {
        guard let answer else { return "Point at a part" }
        return answer.label.map(readable) ?? "None of these"
    }

    private var details: String {
        guard let answer else { return "Hold still until it answers." }
        let share = answer.probability.formatted(.percent.precision(.fractionLength(0)))
        return "\(share), \(Int(answer.milliseconds.rounded())) ms a frame"
    }

    private var spoken: String {
        guard let answer, answer.label != nil else { return title }
        return "\(title), \(answer.probability.formatted(.percent.precision(.fractionLength(0))))"
    }
}

private struct NoticeView: View {
    let title: String
    let text: String
    var linkToSettings = false

    var body: some View {
        VStack(spacing: 12) {
            Text(title).font(.title2.bold()).accessibilityAddTraits(.isHeader)
            Text(text).multilineTextAlignment(.center)
            if linkToSettings, let settings = URL(string: UIApplication.openSettingsURLString) {
                Link("Open Settings", destination: settings).buttonStyle(.borderedProminent)
            }
        }
        .padding(24)
        .background(.regularMaterial, in: RoundedRectangle(cornerRadius: 20))
        .padding()
        .frame(maxWidth: .infinity, maxHeight: .infinity)
    }
}
